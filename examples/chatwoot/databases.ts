import type { SqlExecutor } from '@cachekit/core';
import { copyingExecutor } from '@cachekit/pg-matviews/etl';
import { createDatabase, startPostgres } from '@cachekit/services';
import pg from 'pg';

/** Chatwoot's database and the one of the dashboard. */
export interface Databases {
  readonly remote: SqlExecutor;
  readonly local: SqlExecutor;
  /** The remote database is gone from then on. */
  dropRemote(): Promise<void>;
}

/** Runs `use` with two fresh databases, and leaves nothing of them. */
export async function withDatabases(use: (databases: Databases) => Promise<void>): Promise<void> {
  const postgres = await startPostgres();
  // It is dropped under whoever reads it.
  const remoteDatabase = await createDatabase(postgres.url, { patience: 0 });
  const localDatabase = await createDatabase(postgres.url);
  const remotePool = quietPool(remoteDatabase.url);
  const localPool = quietPool(localDatabase.url);
  try {
    await use({
      remote: copyingExecutor(remotePool),
      local: copyingExecutor(localPool),
      dropRemote: () => remoteDatabase.drop(),
    });
  } finally {
    await Promise.all([remotePool.end(), localPool.end()]);
    await remoteDatabase.drop();
    await localDatabase.drop();
    await postgres.stop();
  }
}

/** A pool whose connections may break without ending the process. */
function quietPool(connectionString: string): pg.Pool {
  const pool = new pg.Pool({ connectionString });
  pool.on('error', () => undefined);
  return pool;
}
