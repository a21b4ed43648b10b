import { ConfigurationError } from '@cachekit/core';
import { createDoctor, type Doctor } from '../../doctor/doctor.ts';
import type { ViewExplanation } from '../../doctor/explain.ts';
import { defects, type Finding } from '../../doctor/finding.ts';
import type { ExitCode } from '../host.ts';
import { namedViews, print, takesNoNames, type Work } from './work.ts';

/** Finds what is wrong with the database. */
export async function doctor(work: Work): Promise<ExitCode> {
  takesNoNames(work);
  const { ignore } = work.line;
  const unknown = ignore.find((one) => !(defects as readonly string[]).includes(one));
  if (unknown !== undefined) {
    throw new ConfigurationError(
      `--ignore: there is no defect "${unknown}"; there are ${defects.join(', ')}`,
    );
  }
  const findings = (await doctorOf(work).examine()).filter(({ defect }) => !ignore.includes(defect));
  print(work, findings, () => (findings.length === 0 ? 'Nothing is wrong.\n' : findingsText(findings)));
  return findings.length === 0 ? 0 : 1;
}

const applying = 'Run `cachekit-views apply`; `cachekit-views generate` prints its SQL.';

function findingsText(findings: readonly Finding[]): string {
  const printed = new Set<string>();
  const parts = findings.map(({ level, defect, object, reason, mend }) => {
    const sql = mend.map((one) => `\n${indented(`${one.trimEnd().replace(/;$/, '')};`)}`).join('\n');
    const again = printed.has(sql) && sql !== '';
    printed.add(sql);
    // The script of all definitions is long, and whoever has them has the command too.
    const told = defect === 'not-applied' ? `\n  ${applying}` : sql;
    const mended = again ? '\n  The same mends this too.' : told;
    return [`${level}  ${defect}  ${object}`, indented(reason), ...(mended === '' ? [] : [mended])].join(
      '\n',
    );
  });
  return `${parts.join('\n\n')}\n\n${findings.length} found.\n`;
}

/** Shows how refreshes read their tables. */
export async function explain(work: Work): Promise<ExitCode> {
  const one = doctorOf(work);
  const explanations: ViewExplanation[] = [];
  for (const name of namedViews(work, ['view', 'materialized', 'rollup']))
    explanations.push(await one.explain(name));
  print(work, explanations, () =>
    explanations
      .map(({ view, kind, plans, advice }) =>
        [
          `${view} (${kind})`,
          ...plans.map(({ of, plan }) => `  ${titles[of]}\n${indented(plan, 4)}`),
          ...advice.map(
            ({ costBefore, costAfter, create }) =>
              `  An index would take the look-up of a group from a cost of ${costBefore} to ${costAfter}:\n    ${create};`,
          ),
        ].join('\n'),
      )
      .join('\n\n')
      .concat('\n'),
  );
  return 0;
}

const titles = {
  groups: 'Groups that changed:',
  part: 'Groups of a part of the key, as by a change of a dimension:',
  whole: 'Everything:',
} as const;

function doctorOf({ sql, config, line }: Work): Doctor {
  return createDoctor({
    sql,
    views: config.views,
    ...(config.schema === undefined ? {} : { schema: config.schema }),
    ...(line.role === undefined ? {} : { role: line.role }),
    ...(line.patienceMs === undefined ? {} : { patience: line.patienceMs }),
  });
}

function indented(text: string, by = 2): string {
  return text
    .split('\n')
    .map((row) => `${' '.repeat(by)}${row}`)
    .join('\n');
}
