import { type Clock, type SqlExecutor, systemClock } from '@cachekit/core';
import { createRefresher, type Refresher } from '@cachekit/pg-matviews';
import { remoteViews } from './views.ts';

/**
 * Refreshes the summary in Chatwoot's own database, once an hour when started. Its tables are not ours, so they get no
 * triggers: nothing marks the view, the clock does it. One process of all does, whatever the number that is started.
 */
export function hourlySummary(remote: SqlExecutor, clock: Clock = systemClock): Refresher {
  return createRefresher({
    sql: remote,
    views: remoteViews,
    schedule: { mvw_daily_summary: { cron: '0 * * * *', timeZone: 'UTC' } },
    clock,
  });
}
