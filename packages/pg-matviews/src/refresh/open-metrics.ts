import { type OpenMetricsSample, openMetricsFamily } from '@cachekit/core';
import type { ViewStatus } from './status.ts';

type Family = readonly [
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  value: (status: ViewStatus) => number | undefined,
];

const families: readonly Family[] = [
  ['refreshes', 'counter', 'Refreshes that were committed.', ({ totals }) => totals.refreshes],
  [
    'refresh_seconds',
    'counter',
    'Time that committed refreshes took.',
    ({ totals }) => totals.refreshMs / 1_000,
  ],
  ['refresh_failures', 'counter', 'Refreshes that failed.', ({ totals }) => totals.failures],
  [
    'changed_groups',
    'counter',
    'Groups of a rollup that were written or removed.',
    ({ totals }) => totals.groups,
  ],
  ['marks', 'gauge', 'Marks that wait.', ({ marks }) => marks],
  [
    'paused',
    'gauge',
    'Whether nobody refreshes it by itself.',
    ({ paused }) => (paused === undefined ? 0 : 1),
  ],
  [
    'fresh_as_of_timestamp_seconds',
    'gauge',
    'Time of the last refresh.',
    ({ freshAsOf }) => freshAsOf && freshAsOf / 1_000,
  ],
  [
    'dirty_since_timestamp_seconds',
    'gauge',
    'Time of the oldest change that is not in the view.',
    ({ dirtySince }) => dirtySince && dirtySince / 1_000,
  ],
];

/**
 * What `status()` gives as OpenMetrics text, for a scrape endpoint; its type is `application/openmetrics-text`.
 *
 * Names begin with `cachekit_view_`, and the view is a label. They are of the database, so one process is enough to scrape.
 * `time() - cachekit_view_dirty_since_timestamp_seconds` is how late a view is; a view that is not late has no such sample.
 *
 * @see OpenMetrics 1.0 (draft-richih-opsawg-openmetrics)
 * @example
 * await createViews({ sql, views: [callsPerDay] }).apply();
 * const refresher = createRefresher({ sql, views: [callsPerDay] });
 * const text = viewOpenMetrics(await refresher.status());
 * new Response(text, { headers: { 'Content-Type': 'application/openmetrics-text; version=1.0.0; charset=utf-8' } });
 */
export function viewOpenMetrics(statuses: readonly ViewStatus[]): string {
  const texts = families.map(([name, type, help, value]) =>
    openMetricsFamily(
      `view_${name}`,
      type,
      help,
      statuses.flatMap((status): OpenMetricsSample[] => {
        const sample = value(status);
        return sample === undefined
          ? []
          : [[type === 'counter' ? '_total' : '', { view: status.view }, sample]];
      }),
    ),
  );
  return `${texts.join('')}# EOF\n`;
}
