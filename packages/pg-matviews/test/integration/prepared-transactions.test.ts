import { createListener, installOutbox, pgExecutor, wakeSql } from '@cachekit/core/postgres';
import { startPostgres } from '@cachekit/services';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEtl } from '../../src/etl/index.ts';
import { createDoctor, createRefresher, createViews } from '../../src/index.ts';
import { tablesSql, views } from '../fixtures/killed-views.ts';

let server: Awaited<ReturnType<typeof startPostgres>>;
let pool: pg.Pool;
const row = async <Row>(query: string): Promise<Row> => (await pool.query(query)).rows[0] as Row;

beforeAll(async () => {
  server = await startPostgres({ own: true });
  const admin = new pg.Client({ connectionString: server.url });
  await admin.connect();
  await admin.query('alter system set max_prepared_transactions = 10');
  await admin.end();
  await server.restart();
  pool = new pg.Pool({ connectionString: server.url, max: 8 });
  pool.on('error', () => undefined);
}, 120_000);
afterAll(async () => {
  await pool?.end();
  await server?.stop();
});

/** Writes in a transaction that is prepared; gives what commits it. */
async function prepared(name: string, ...statements: string[]): Promise<() => Promise<unknown>> {
  await pool.query(['begin', ...statements, `prepare transaction '${name}'`].join(';'));
  return () => pool.query(`commit prepared '${name}'`);
}

describe('a prepared transaction', () => {
  it('can be prepared while a refresher sleeps, and what it wrote is seen once it is committed', async () => {
    await pool.query(tablesSql);
    const sql = pgExecutor(pool);
    await createViews({ sql, views }).apply();
    const listener = createListener({ connect: () => new pg.Client({ connectionString: server.url }) });
    const keeper = createRefresher({ sql, listener, views });
    await keeper.start();
    try {
      await expect
        .poll(() => row(`select bool_or(armed) as armed from cachekit.wake where subject = 'view'`))
        .toEqual({ armed: true });
      const commit = await prepared('a write', 'insert into calls (user_id) values (7), (7)');
      expect(await row('select count(*)::int as n from calls')).toEqual({ n: 0 });
      await commit();
      const counted = (relation: string): Promise<unknown> =>
        row(`select total::int as n from ${relation} where user_id = 7`);
      expect(await counted('per_user_live')).toEqual({ n: 2 });
      await expect.poll(() => counted('per_user')).toEqual({ n: 2 });
    } finally {
      await keeper.stop();
      await listener.close();
    }
  });

  it('can be prepared after a write to an outbox whose consumer sleeps', async () => {
    await installOutbox(pgExecutor(pool), 'change');
    await pool.query(`insert into cachekit.wake (name, subject, armed) values ('sleeper', 'change', true)`);
    const commit = await prepared(
      'an outbox',
      `insert into cachekit.change (source, operation, key) values ('calls', 'insert', '{}')`,
      wakeSql('change', 'select'),
    );
    await commit();
    expect(await row('select count(*)::int as n from cachekit.change')).toEqual({ n: 1 });
  });

  it('that is open for long is copied when it is committed, and told as a risk until then (CW-6, CW-8)', async () => {
    await pool.query('create table talks (id int primary key, at timestamptz not null default now())');
    const sql = pgExecutor(pool);
    const etl = createEtl({
      name: 'talks',
      remote: sql,
      local: sql,
      from: 'talks',
      to: 'talks_copy',
      key: 'id',
      skew: 0,
      sources: { talks: { key: 'id', changed: { column: 'at' } } },
    });
    await etl.install();
    await pool.query('insert into talks values (1)');
    await etl.run();
    const commit = await prepared('a talk', 'insert into talks values (2)');
    await pool.query('insert into talks values (3)');
    await etl.run();
    expect(await etl.status()).toMatchObject({ atRisk: false, risks: [{ reason: 'PREPARED_TRANSACTION' }] });
    await pool.query('insert into talks values (4)');
    await etl.run();
    await commit();
    await etl.run();
    expect(await row('select array_agg(id order by id) as ids from talks_copy')).toEqual({
      ids: [1, 2, 3, 4],
    });
    expect(await etl.status()).toMatchObject({ risks: [] });
  });

  it('that nobody ends is found by the doctor, who leaves it to whoever prepared it', async () => {
    const doctor = createDoctor({ sql: pgExecutor(pool), patience: 1 });
    const end = await prepared('of the manager', 'create table if not exists left_behind (id int)');
    const named = async () =>
      (await doctor.examine()).filter(({ object }) => object === 'prepared transaction of the manager');
    await expect.poll(async () => (await named()).length).toBe(1);
    expect(await named()).toMatchObject([{ defect: 'long-transaction', mend: [] }]);
    await end();
    expect(await named()).toEqual([]);
  });
});
