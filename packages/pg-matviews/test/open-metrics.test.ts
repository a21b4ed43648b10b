import { expect, it } from 'vitest';
import { type ViewStatus, viewOpenMetrics } from '../src/index.ts';

const rollup: ViewStatus = {
  view: 'calls_per_day',
  freshAsOf: 1_767_225_600_500,
  marks: 2,
  dirtySince: 1_767_225_601_000,
  running: false,
  failures: 1,
  paused: 'failures',
  totals: { refreshes: 40, refreshMs: 1_250, groups: 70, failures: 3 },
  runs: [],
};
const native: ViewStatus = {
  view: 'a "view"\n\\',
  marks: 0,
  running: false,
  failures: 0,
  totals: { refreshes: 0, refreshMs: 0, failures: 0 },
  runs: [],
};

it('viewOpenMetrics() gives what status() does as OpenMetrics text, with any name of a view (CW-8)', () => {
  const text = viewOpenMetrics([rollup, native]);
  expect(text.split('\n')).toEqual([
    '# TYPE cachekit_view_refreshes counter',
    '# HELP cachekit_view_refreshes Refreshes that were committed.',
    'cachekit_view_refreshes_total{view="calls_per_day"} 40',
    'cachekit_view_refreshes_total{view="a \\"view\\"\\n\\\\"} 0',
    '# TYPE cachekit_view_refresh_seconds counter',
    '# UNIT cachekit_view_refresh_seconds seconds',
    '# HELP cachekit_view_refresh_seconds Time that committed refreshes took.',
    'cachekit_view_refresh_seconds_total{view="calls_per_day"} 1.25',
    'cachekit_view_refresh_seconds_total{view="a \\"view\\"\\n\\\\"} 0',
    '# TYPE cachekit_view_refresh_failures counter',
    '# HELP cachekit_view_refresh_failures Refreshes that failed.',
    'cachekit_view_refresh_failures_total{view="calls_per_day"} 3',
    'cachekit_view_refresh_failures_total{view="a \\"view\\"\\n\\\\"} 0',
    '# TYPE cachekit_view_changed_groups counter',
    '# HELP cachekit_view_changed_groups Groups of a rollup that were written or removed.',
    'cachekit_view_changed_groups_total{view="calls_per_day"} 70',
    '# TYPE cachekit_view_marks gauge',
    '# HELP cachekit_view_marks Marks that wait.',
    'cachekit_view_marks{view="calls_per_day"} 2',
    'cachekit_view_marks{view="a \\"view\\"\\n\\\\"} 0',
    '# TYPE cachekit_view_paused gauge',
    '# HELP cachekit_view_paused Whether nobody refreshes it by itself.',
    'cachekit_view_paused{view="calls_per_day"} 1',
    'cachekit_view_paused{view="a \\"view\\"\\n\\\\"} 0',
    '# TYPE cachekit_view_fresh_as_of_timestamp_seconds gauge',
    '# UNIT cachekit_view_fresh_as_of_timestamp_seconds seconds',
    '# HELP cachekit_view_fresh_as_of_timestamp_seconds Time of the last refresh.',
    'cachekit_view_fresh_as_of_timestamp_seconds{view="calls_per_day"} 1767225600.5',
    '# TYPE cachekit_view_dirty_since_timestamp_seconds gauge',
    '# UNIT cachekit_view_dirty_since_timestamp_seconds seconds',
    '# HELP cachekit_view_dirty_since_timestamp_seconds Time of the oldest change that is not in the view.',
    'cachekit_view_dirty_since_timestamp_seconds{view="calls_per_day"} 1767225601',
    '# EOF',
    '',
  ]);
});
