import type { SqlExecutor } from '@cachekit/core';
import { pgExecutor } from '@cachekit/core/postgres';
import { useDatabase } from '@cachekit/services/vitest';
import pg from 'pg';
import { afterAll, beforeAll } from 'vitest';

/** A fresh database for a test file, with a pool over it and clients of their own for whoever needs a second session. */
export interface TestDatabase {
  readonly url: string;
  readonly sql: SqlExecutor;
  readonly pool: pg.Pool;
  /** A session of its own, closed after the tests. */
  client(): Promise<pg.Client>;
  rows<Row>(query: string, parameters?: unknown[]): Promise<Row[]>;
  one<Value>(query: string, parameters?: unknown[]): Promise<Value>;
}

export function testDatabase(setup?: string): TestDatabase {
  const database = useDatabase();
  const clients: pg.Client[] = [];
  let pool: pg.Pool | undefined;
  let sql: SqlExecutor | undefined;
  beforeAll(async () => {
    pool = new pg.Pool({ connectionString: database.url, max: 12 });
    sql = pgExecutor(pool);
    if (setup !== undefined) await pool.query(setup);
  });
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
    await pool?.end();
  });
  const opened = (): pg.Pool => {
    if (pool === undefined) throw new Error('The database is there in hooks and tests only');
    return pool;
  };
  return {
    get url() {
      return database.url;
    },
    get sql() {
      if (sql === undefined) throw new Error('The database is there in hooks and tests only');
      return sql;
    },
    get pool() {
      return opened();
    },
    async client() {
      const client = new pg.Client({ connectionString: database.url });
      client.on('error', () => undefined);
      await client.connect();
      clients.push(client);
      return client;
    },
    async rows<Row>(query: string, parameters: unknown[] = []) {
      return (await opened().query(query, parameters)).rows as Row[];
    },
    async one<Value>(query: string, parameters: unknown[] = []) {
      const [row] = (await opened().query(query, parameters)).rows as Record<string, Value>[];
      return Object.values(row ?? {})[0] as Value;
    },
  };
}
