import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { ConfigurationError, type SqlExecutor } from '@cachekit/core';
import { type PgPoolLike, pgExecutor } from '@cachekit/core/postgres';
import type { Host } from './host.ts';

/** The part of `pg` that is used. */
interface PgLike {
  readonly Pool: new (options: {
    readonly connectionString?: string;
    readonly max: number;
    readonly application_name: string;
    readonly connectionTimeoutMillis: number;
  }) => PgPoolLike & { end(): Promise<void> };
}

/** The database, and how to let go of it. */
export interface Connection {
  readonly sql: SqlExecutor;
  /** Ends what the server does for this program at the moment; it then fails as cancelled. */
  cancel(): Promise<void>;
  close(): Promise<void>;
}

/** A server that does not answer for so long is not there. */
const connectMs = 15_000;

/**
 * Connects by the `pg` of the user's project.
 *
 * @param config - The configuration file: `pg` is looked for from there, and then from the folder of the call.
 * @throws ConfigurationError `INVALID_CONFIGURATION` without `pg`, or if nothing says which database.
 */
export function connect(host: Host, config: string): Connection {
  const { DATABASE_URL: connectionString, PGHOST, PGDATABASE, PGSERVICE } = host.environment;
  if (!connectionString && !PGHOST && !PGDATABASE && !PGSERVICE) {
    throw new ConfigurationError('DATABASE_URL is not set, and neither are PGHOST or PGDATABASE');
  }
  const { Pool } = loadPg([dirname(config), host.folder]);
  const name = `cachekit-views ${host.id}`;
  const pool = new Pool({
    ...(connectionString ? { connectionString } : {}),
    max: 4,
    application_name: name,
    connectionTimeoutMillis: connectMs,
  });
  const sql = pgExecutor(pool);
  return {
    sql,
    async cancel() {
      await sql.query(
        `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND pid <> pg_backend_pid()`,
        [name],
      );
    },
    close: () => pool.end(),
  };
}

function loadPg(folders: readonly string[]): PgLike {
  for (const folder of folders) {
    try {
      return createRequire(join(folder, 'package.json'))('pg') as PgLike;
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  throw new ConfigurationError('`pg` is not installed in this project: npm install pg');
}
