import { sharedPool } from '@cachekit/core/postgres';
import pg from 'pg';

/** The one pool of this process for a database, also after a hot reload. Whoever ends the process ends it. */
export function poolOf(databaseUrl: string): pg.Pool {
  return sharedPool(
    () =>
      new pg.Pool({
        connectionString: databaseUrl,
        max: 20,
        idleTimeoutMillis: 30_000,
        connectionTimeoutMillis: 10_000,
      }),
    databaseUrl,
  );
}
