import type { SqlExecutor } from '@cachekit/core';
import { createRefresher, createViews, type Refresher } from '@cachekit/pg-matviews';
import type { Etl } from '@cachekit/pg-matviews/etl';
import { conversationsCopy, localIndexes } from './copy.ts';
import { giantView } from './giant.sql.ts';
import { hourlySummary } from './hourly.ts';
import { seed } from './seed/seed.ts';
import { localSummary, remoteViews } from './views.ts';

/** Both databases, filled, and what keeps the local one fresh. */
export interface Analytics {
  readonly etl: Etl;
  readonly summary: Refresher;
}

/** Seeds the remote database, creates its layers, and copies them into the local one. */
export async function prepare(
  remote: SqlExecutor,
  local: SqlExecutor,
  conversations: number,
  show: (task: string, detail: string) => void = () => undefined,
): Promise<Analytics> {
  await seed(remote, { conversations, onProgress: show });
  const created = await createViews({ sql: remote, views: remoteViews }).apply();
  show('layers', created.map(({ view }) => view).join(', '));
  await remote.query(giantView);
  await hourlySummary(remote).refresh('mvw_daily_summary', { timeout: '1h' });

  const etl = conversationsCopy(remote, local);
  await etl.install();
  await local.query(localIndexes);
  await createViews({ sql: local, views: [localSummary] }).apply();
  let copied = 0;
  etl.on('run', ({ read }) => {
    copied += read;
    show('copy', `${copied} rows`);
  });
  await etl.run();
  const summary = createRefresher({ sql: local, views: [localSummary] });
  await summary.waitFresh(localSummary.name, { timeout: '1h' });
  // A vacuum also lets the index answer alone.
  await local.query('vacuum analyze conversations_analytics');
  return { etl, summary };
}
