import { createRefresher } from '../../refresh/create-refresher.ts';
import type { ViewStatus } from '../../refresh/status.ts';
import type { ExitCode } from '../host.ts';
import { agoText, textTable } from '../text-table.ts';
import { assertApplied, namedViews, print, storedKinds, type Work } from './work.ts';

/** Failed and slow refreshes that are printed. */
const shownRuns = 20;

/** How views stand. */
export async function status(work: Work): Promise<ExitCode> {
  const { sql, config, clock } = work;
  const names = namedViews(work, storedKinds);
  await assertApplied(work);
  const statuses = (await createRefresher({ sql, views: config.views, clock }).status()).filter(({ view }) =>
    names.includes(view),
  );
  const now = clock.now();
  print(work, statuses, () => {
    const table = textTable([
      ['view', 'fresh as of', 'waits since', 'marks', 'last run', 'mean', 'runs', 'failed', 'state'],
      ...statuses.map((one) => viewCells(one, now)),
      ...names
        .filter((name) => !statuses.some(({ view }) => view === name))
        .map((name) => [name, 'never', '', '', '', '', '', '', 'never applied']),
    ]);
    const runs = runRows(statuses);
    return runs.length === 0 ? table : `${table}\n${textTable(runs)}`;
  });
  return 0;
}

function viewCells(one: ViewStatus, now: number): string[] {
  const { refreshes, refreshMs, failures } = one.totals;
  return [
    one.view,
    one.freshAsOf === undefined ? 'never' : new Date(one.freshAsOf).toISOString(),
    one.dirtySince === undefined ? '' : agoText(Math.max(0, now - one.dirtySince)),
    one.marks === 0 ? '' : String(one.marks),
    one.lastRunMs === undefined ? '' : agoText(one.lastRunMs),
    refreshes === 0 ? '' : agoText(refreshMs / refreshes),
    String(refreshes),
    failures === 0 ? '' : String(failures),
    [
      one.running ? 'running' : '',
      one.paused === undefined ? '' : `paused (${one.paused})`,
      one.failures === 0 ? '' : `${one.failures} failures: ${one.lastError ?? ''}`,
    ]
      .filter((part) => part !== '')
      .join(', '),
  ];
}

/** Failed and slow refreshes of all views, newest first. */
function runRows(statuses: readonly ViewStatus[]): string[][] {
  return statuses
    .flatMap(({ view, runs }) => runs.map((run) => ({ view, ...run })))
    .sort((a, b) => b.endedAt - a.endedAt)
    .slice(0, shownRuns)
    .map(({ view, endedAt, error, durationMs = 0, mode = '' }) => [
      new Date(endedAt).toISOString(),
      view,
      error === undefined ? `took ${agoText(durationMs)}, ${mode}` : `failed: ${error.split('\n', 1)[0]}`,
    ]);
}
