import { pgExecutor } from '@cachekit/core/postgres';
import { createDatabase, type PostgresServer, startPostgres } from '@cachekit/services';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createEtl } from '../../../src/etl/index.ts';
import { testDatabase } from '../database.ts';
import { uniqueSlot } from './copy.ts';

const local = testDatabase();
let server: PostgresServer;
let pool: pg.Pool;

beforeAll(async () => {
  // The limit is of the whole server, so it is one of its own.
  server = await startPostgres({ own: true });
  const { url } = await createDatabase(server.url);
  pool = new pg.Pool({ connectionString: url });
  await pool.query('create table calls (id int primary key, status int)');
  await pool.query('insert into calls select i, 0 from generate_series(1, 50) i');
  await pool.query(`alter system set max_slot_wal_keep_size = '1MB'`);
  await pool.query('select pg_reload_conf()');
}, 60_000);
afterAll(async () => {
  await pool?.end();
  await server?.stop();
});

it('makes another slot and reads everything when the server gave its slot up (CW-6)', async () => {
  const slot = uniqueSlot();
  const etl = createEtl({
    name: 'calls',
    remote: pgExecutor(pool),
    local: local.sql,
    from: 'calls',
    to: 'calls_copy',
    key: 'id',
    slot,
    sources: { calls: { key: 'id', changed: 'slot' } },
  });
  const gaps: string[] = [];
  etl.on('gap', ({ reason }) => gaps.push(reason));
  await etl.install();
  await etl.run();
  expect((await etl.status()).risks).toEqual([]);
  await pool.query('update calls set status = 1 where id = 1');
  await pool.query('delete from calls where id = 2');
  const walStatus = async (): Promise<string> =>
    (await pool.query('select wal_status from pg_replication_slots where slot_name = $1', [slot])).rows[0]
      ?.wal_status;
  await expect
    .poll(
      async () => {
        await pool.query(`select pg_logical_emit_message(true, 'fill', 'the WAL')`);
        await pool.query('select pg_switch_wal()');
        await pool.query('checkpoint');
        return walStatus();
      },
      { timeout: 30_000 },
    )
    .toBe('lost');
  await etl.run();
  expect(gaps).toEqual(['slot']);
  expect(await local.rows('select * from calls_copy order by id')).toEqual(
    (await pool.query('select * from calls order by id')).rows,
  );
  await pool.query('update calls set status = 2 where id = 3');
  expect(await etl.run()).toMatchObject({ read: 1, updated: 1 });
  expect(await walStatus()).toBe('reserved');
});
