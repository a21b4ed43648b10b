import { quoteLiteral } from '@cachekit/core/postgres';
import { jsonRows } from '../sql/json-rows.ts';
import { ageText, type Examination } from './examination.ts';
import { type Finding, finding } from './finding.ts';

interface WaitingView {
  readonly name: string;
  readonly seconds: number | null;
  readonly failures: number;
  readonly lastError: string | null;
  readonly paused: string | null;
}

/** Views that nobody refreshes although they are marked, and views whose refresh fails. */
export async function neglectedViews({ sql, records, patienceMs }: Examination): Promise<Finding[]> {
  if (!records.installed) return [];
  const views = await jsonRows<WaitingView>(
    sql,
    `SELECT v.name, v.failures, v.last_error AS "lastError", to_jsonb(v)->>'paused' AS paused, m.seconds
     FROM cachekit.view v CROSS JOIN LATERAL (
       SELECT extract(epoch FROM clock_timestamp() - min(at))::float8 AS seconds
       FROM cachekit.mark WHERE view = v.name) m
     WHERE v.kind <> 'view' AND (v.failures > 0 OR m.seconds * 1000 >= $1::float8) ORDER BY v.name`,
    [patienceMs],
  );
  return views.map(({ name, seconds, failures, lastError, paused }) => {
    const waits = seconds === null ? '' : ` Marks wait, the oldest for ${ageText(seconds)}.`;
    // Also if it is paused: the refresh ends a pause for failures, and nothing else would end one that was called for.
    const resume =
      paused === 'call' ? [`UPDATE cachekit.view SET paused = NULL WHERE name = ${quoteLiteral(name)}`] : [];
    const mend = [...resume, `SELECT cachekit.refresh(${quoteLiteral(name)}, true, NULL, true)`];
    if (failures > 0) {
      const given = paused === null ? '' : ' It is paused, so nobody tries again.';
      const reason = `The last ${failures} refreshes failed, with: ${lastError}.${given}${waits} Readers have the rows of before.`;
      return finding('refresh-failing', name, reason, mend);
    }
    const why =
      paused === null
        ? 'No refresher that keeps this view is running, or it does not keep up.'
        : 'Somebody paused it.';
    return finding('stale-marks', name, `${waits.trim()} ${why}`, mend);
  });
}

/** Marks of views that are not applied any more: nobody will take them. */
export async function orphanedMarks({ sql, records }: Examination): Promise<Finding[]> {
  if (!records.installed) return [];
  const views = await jsonRows<{ view: string; marks: number }>(
    sql,
    `SELECT view, count(*) AS marks FROM ONLY cachekit.mark m
     WHERE NOT EXISTS (SELECT FROM cachekit.view v WHERE v.name = m.view) GROUP BY view ORDER BY view`,
  );
  return views.map(({ view, marks }) =>
    finding(
      'orphaned-marks',
      view,
      `${marks} marks are about a view that is not applied any more. Nobody takes them, and every refresh reads past them.`,
      [`DELETE FROM ONLY cachekit.mark WHERE view = ${quoteLiteral(view)}`],
    ),
  );
}
