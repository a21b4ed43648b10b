import type { SqlExecutor } from '@cachekit/core';
import type { ViewChange } from './events.ts';
import { assertApplied, type RefreshWhen, type RunLimits, type RunOutcome, settingsSql } from './run.ts';

interface Report {
  readonly state: 'refreshed' | 'clean' | 'busy';
  readonly mode: 'partial' | 'whole';
  readonly freshAsOf: number | null;
  readonly marks: number;
  readonly changes: readonly ViewChange[];
}

/**
 * Refreshes a rollup in one transaction, if nobody else does: the marked groups, or all where that is cheaper.
 *
 * @throws RefreshFailedError `REFRESH_FAILED` if the view was never applied.
 * @throws The error of the database, unchanged; nothing has changed then.
 */
export async function runRollup(
  sql: SqlExecutor,
  view: string,
  limits: RunLimits,
  when: RefreshWhen,
  now: () => number,
): Promise<RunOutcome> {
  const startedAt = now();
  const report = await sql.transaction(async (transaction) => {
    await transaction.query(settingsSql(limits));
    const { rows } = await transaction.query<{ report: string }>(
      'SELECT cachekit.refresh_rollup($1, $2, $3::numeric)::text AS report',
      [view, when !== 'marked', typeof when === 'bigint' ? when.toString() : null],
    );
    const told = JSON.parse(rows[0]?.report ?? '{}') as Report;
    if (told.state === 'busy') await assertApplied(transaction, view);
    return told;
  });
  if (report.state === 'busy') return { state: 'busy' };
  if (report.state === 'clean') return { state: 'clean', freshAsOf: report.freshAsOf ?? 0 };
  const { mode, marks, changes } = report;
  return {
    state: 'refreshed',
    event: { view, mode, durationMs: now() - startedAt, freshAsOf: report.freshAsOf ?? 0, marks, changes },
  };
}
