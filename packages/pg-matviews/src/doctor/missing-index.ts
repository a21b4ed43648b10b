import type { Examination } from './examination.ts';
import { type Finding, finding } from './finding.ts';
import { adviseIndex } from './index-advice.ts';
import { ifReadable } from './probe.ts';

/** Rollups whose table has no index by which the rows of one group are found. */
export async function slowGroups({ sql, records }: Examination): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { name, rollup } of records.views) {
    if (rollup === null || !rollup.present) continue;
    const advice = await ifReadable(sql, (savepoint) => adviseIndex(savepoint, rollup.program));
    if (advice === undefined) continue;
    const { table, columns, costBefore, costAfter, create } = advice;
    findings.push(
      finding(
        'index-missing',
        `${table} (${columns.join(', ')})`,
        `Each changed group of ${name} is looked for in ${table} without an index that fits: on a sample of it the planner would do that at a cost of ${costAfter} in place of ${costBefore}.`,
        [create],
      ),
    );
  }
  return findings;
}
