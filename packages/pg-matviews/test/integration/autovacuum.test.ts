import { pgExecutor } from '@cachekit/core/postgres';
import { createDatabase, type PostgresServer, startPostgres } from '@cachekit/services';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRefresher, createViews, defineView } from '../../src/index.ts';

let server: PostgresServer;
let pool: pg.Pool;

beforeAll(async () => {
  // How often and how fast an autovacuum works is set for the whole server, so it is one of its own.
  server = await startPostgres({ own: true });
  const admin = new pg.Client({ connectionString: server.url });
  await admin.connect();
  await admin.query(`alter system set autovacuum_naptime = '1s'`);
  await admin.query(`alter system set autovacuum_vacuum_cost_delay = '100ms'`);
  await admin.query('alter system set autovacuum_vacuum_cost_limit = 1');
  await admin.end();
  // A reload would be noticed up to a minute later.
  await server.restart();
  const { url } = await createDatabase(server.url);
  pool = new pg.Pool({ connectionString: url });
  await pool.query('create table calls (id int primary key, seconds int)');
  await pool.query('insert into calls select i, 0 from generate_series(1, 20000) i');
}, 60_000);
afterAll(async () => {
  await pool?.end();
  await server?.stop();
});

it('a refresh waits until PostgreSQL makes an autovacuum of the view yield', async () => {
  const view = defineView({
    name: 'calls_seen',
    kind: 'materialized',
    query: 'select id, seconds from calls',
    indexes: [{ columns: ['id'], unique: true }],
  });
  const sql = pgExecutor(pool);
  await createViews({ sql, views: [view] }).apply();
  const refresher = createRefresher({ sql, views: [view] });
  await pool.query('update calls set seconds = 1');
  await refresher.refresh('calls_seen');
  const vacuums = async (): Promise<number> =>
    (
      await pool.query(
        `select count(*)::int as running from pg_stat_progress_vacuum where relid = 'calls_seen'::regclass`,
      )
    ).rows[0].running;
  // It takes minutes at this pace, unless somebody is in its way.
  await expect.poll(vacuums, { timeout: 60_000 }).toBe(1);
  await pool.query('update calls set seconds = 2 where id = 1');
  await refresher.refresh('calls_seen');
  expect((await pool.query('select seconds from calls_seen where id = 1')).rows).toEqual([{ seconds: 2 }]);
}, 90_000);
