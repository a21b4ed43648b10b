import type { SqlExecutor } from '@cachekit/core';
import {
  createListener,
  installCoreSchema,
  installOutbox,
  kyselyExecutor,
  pgClientExecutor,
  pgExecutor,
  poolPressure,
  pruneOutbox,
} from '@cachekit/core/postgres';
import { useDatabase } from '@cachekit/services/vitest';
import { CamelCasePlugin, Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { poolOf } from './outbox-fixture.ts';

const database = useDatabase();
const deadline = { timeout: 10_000, interval: 10 };
let pool: pg.Pool;
let kyselyPool: pg.Pool;
const executors: Record<string, () => SqlExecutor> = {
  pg: () => pgExecutor(pool),
  kysely: () =>
    kyselyExecutor(
      new Kysely<unknown>({
        dialect: new PostgresDialect({ pool: kyselyPool }),
        plugins: [new CamelCasePlugin()],
      }),
    ),
};

beforeAll(async () => {
  pool = poolOf(database.url);
  kyselyPool = poolOf(database.url);
  await pool.query('create table t (an_id int primary key)');
  // The worst default a server can have: a transaction that names no level would not see later commits.
  await pool.query(
    `alter database "${new URL(database.url).pathname.slice(1)}" set default_transaction_isolation = 'serializable'`,
  );
  await pool.end();
  await kyselyPool.end();
  pool = poolOf(database.url);
  kyselyPool = poolOf(database.url);
});
afterAll(async () => {
  await pool.end();
  await kyselyPool.end();
});
beforeEach(() => pool.query('truncate t'));

describe.each(Object.keys(executors))('%sExecutor()', (name) => {
  const sql = (): SqlExecutor => (executors[name] as () => SqlExecutor)();
  const rows = async (): Promise<number[]> =>
    (await pool.query('select an_id from t order by 1')).rows.map((row) => row.an_id);

  test('gives rows as the server names them, and how many were touched', async () => {
    expect(await sql().query('select $1::int as an_id, $2::text as "aName"', [1, 'x'])).toEqual({
      rows: [{ an_id: 1, aName: 'x' }],
      rowCount: 1,
    });
    expect((await sql().query('insert into t select generate_series(1, 3)')).rowCount).toBe(3);
    expect((await sql().query('delete from t')).rowCount).toBe(3);
  });

  test('passes errors of the driver unchanged', async () => {
    await expect(sql().query('select nothing')).rejects.toMatchObject({ code: '42703' });
    const own = new Error('mine');
    await expect(
      sql().transaction(async (transaction) => {
        await transaction.query('insert into t values (1)');
        throw own;
      }),
    ).rejects.toBe(own);
    expect(await rows()).toEqual([]);
  });

  test('runs transactions READ COMMITTED whatever the default is, on one connection', async () => {
    await sql().transaction(async (transaction) => {
      const count = async (): Promise<unknown> =>
        (await transaction.query('select count(*)::int as n, pg_backend_pid() as pid from t')).rows[0];
      const before = await count();
      await pool.query('insert into t values (1)');
      expect(await count()).toEqual({ ...(before as object), n: 1 });
      await transaction.query('insert into t values (2)');
    });
    expect(await rows()).toEqual([1, 2]);
  });

  test('a transaction inside a transaction is a savepoint', async () => {
    await sql().transaction(async (outer) => {
      await outer.query('insert into t values (1)');
      await outer.transaction((inner) => inner.query('insert into t values (2)'));
      await outer
        .transaction(async (inner) => {
          await inner.query('insert into t values (3)');
          await inner.query('insert into t values (1)');
        })
        .catch((error) => expect(error).toMatchObject({ code: '23505' }));
      await outer.query('insert into t values (4)');
    });
    expect(await rows()).toEqual([1, 2, 4]);
  });

  test('a commit that became a rollback rejects with the error that was swallowed', async () => {
    const swallowing = sql().transaction(async (transaction) => {
      await transaction.query('insert into t values (1)');
      await transaction.query('insert into t values (1)').catch(() => {});
    });
    await expect(swallowing).rejects.toMatchObject({ code: '23505' });
    expect(await rows()).toEqual([]);
  });

  test('survives a connection that is terminated while it idles in a transaction', async () => {
    const lost = sql().transaction(async (transaction) => {
      const { rows } = await transaction.query<{ pid: number }>('select pg_backend_pid() as pid');
      await pool.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
      await expect
        .poll(
          async () =>
            (await pool.query('select from pg_stat_activity where pid = $1', [rows[0]?.pid])).rowCount,
          deadline,
        )
        .toBe(0);
      await transaction.query('select 1');
    });
    await expect(lost).rejects.toThrow();
    expect((await sql().query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  test('installs its schema from many processes at once, and again without the right to create', async () => {
    await pool.query('drop schema if exists cachekit cascade');
    for (let round = 0; round < 10; round += 1) {
      await Promise.all([sql(), sql(), sql(), sql()].map((each) => installOutbox(each, 'change')));
      await pool.query('drop schema cachekit cascade');
    }
    await installOutbox(sql(), 'change');
    await installOutbox(sql(), 'change');
    await pool.query('drop role if exists low; create role low; grant usage on schema cachekit to low');
    const low = new pg.Pool({ connectionString: database.url, options: '-c role=low' });
    await installCoreSchema(pgExecutor(low));
    await installOutbox(pgExecutor(low), 'change');
    await expect(installOutbox(pgExecutor(low), 'another')).rejects.toMatchObject({ code: '42501' });
    await low.end();
    await pool.query('drop owned by low; drop role low');
  });
});

test('a pool that nobody listens to does not end the process when a connection breaks', async () => {
  const bare = new pg.Pool({ connectionString: database.url, max: 1 });
  const sql = pgExecutor(bare);
  const { rows } = await sql.query<{ pid: number }>('select pg_backend_pid() as pid');
  await pool.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
  await expect.poll(() => bare.totalCount, deadline).toBe(0);
  const lost = sql.transaction(async (transaction) => {
    const mine = await transaction.query<{ pid: number }>('select pg_backend_pid() as pid');
    await pool.query('select pg_terminate_backend($1)', [mine.rows[0]?.pid]);
    await expect.poll(() => transaction.query('select 1').catch(() => 'lost'), deadline).toBe('lost');
  });
  await expect(lost).rejects.toThrow();
  expect((await sql.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  await bare.end();
});

test('CRM-1: the pressure of a real pool is seen', async () => {
  const busy = poolOf(database.url, 2);
  const clients = [await busy.connect(), await busy.connect()];
  const waiting = busy.query('select 1');
  expect(poolPressure(busy)).toEqual({ max: 2, total: 2, idle: 0, used: 2, waiting: 1, saturation: 1 });
  for (const client of clients) client.release();
  await waiting;
  expect(poolPressure(busy)).toMatchObject({ used: 0, idle: 2, waiting: 0, saturation: 0 });
  await busy.end();
});

describe('pruneOutbox()', () => {
  const sql = (): SqlExecutor => pgExecutor(pool);
  const left = async (): Promise<number> => (await pool.query('select from cachekit.pruned')).rowCount ?? 0;

  beforeEach(async () => {
    await installOutbox(sql(), 'pruned');
    await pool.query('truncate cachekit.pruned; delete from cachekit.cursor');
    await pool.query(`insert into cachekit.pruned (source, operation, key, at)
      select 't', 'insert', '{}', now() - interval '2 hours' from generate_series(1, 10)`);
  });
  const cursorAt = (name: string, outbox: string): Promise<unknown> =>
    pool.query(
      `insert into cachekit.cursor (name, outbox, snapshot, identity) values ($1, $2, pg_current_snapshot(), '')`,
      [name, outbox],
    );
  const gaps = async (): Promise<unknown[]> =>
    (await pool.query('select name, gap from cachekit.cursor order by name')).rows;

  test('deletes what every consumer has, and keeps what is young or not consumed', async () => {
    await cursorAt('a', 'pruned');
    await cursorAt('elsewhere', 'other');
    await pool.query(`insert into cachekit.pruned (source, operation, key, at)
      select 't', 'insert', '{}', now() - interval '2 hours' from generate_series(1, 3)`);
    expect(await pruneOutbox(sql(), 'pruned')).toBe(10);
    await cursorAt('b', 'pruned');
    expect(await pruneOutbox(sql(), 'pruned')).toBe(0);
    await pool.query("update cachekit.cursor set snapshot = pg_current_snapshot() where name = 'a'");
    expect(await pruneOutbox(sql(), 'pruned', { consumed: '3h' })).toBe(0);
    expect(await pruneOutbox(sql(), 'pruned')).toBe(3);
    expect(await gaps()).toEqual([
      { name: 'a', gap: null },
      { name: 'b', gap: null },
      { name: 'elsewhere', gap: null },
    ]);
  });

  test('deletes what a consumer never came for, and leaves it a gap', async () => {
    await pool.query(
      `insert into cachekit.cursor (name, outbox, snapshot, identity) values ('gone', 'pruned', '3:3:', '')`,
    );
    await cursorAt('here', 'pruned');
    expect(await pruneOutbox(sql(), 'pruned')).toBe(0);
    expect(await pruneOutbox(sql(), 'pruned', { abandoned: '1h' })).toBe(10);
    expect(await gaps()).toEqual([
      { name: 'gone', gap: 'trimmed' },
      { name: 'here', gap: null },
    ]);
    expect(await left()).toBe(0);
  });

  test('does not wait for a consumer at work, and deletes nothing it has not got', async () => {
    await pool.query(
      `insert into cachekit.cursor (name, outbox, snapshot, identity) values ('busy', 'pruned', '3:3:', '')`,
    );
    const holder = await pool.connect();
    await holder.query(
      "begin isolation level read committed; select from cachekit.cursor where name = 'busy' for update",
    );
    const pruned = await pruneOutbox(sql(), 'pruned', { abandoned: '1h' });
    await holder.query('rollback');
    holder.release();
    expect(pruned).toBe(0);
    expect(await pruneOutbox(sql(), 'pruned', { abandoned: '1h' })).toBe(10);
  });

  test('refuses a name that is none and a time that is none', async () => {
    await expect(pruneOutbox(sql(), 'Not An Outbox')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(pruneOutbox(sql(), 'pruned', { consumed: 'x' as never })).rejects.toThrow(
      'retention.consumed',
    );
  });
});

describe('createListener()', () => {
  test('hears every channel it listens to, each until it is ended', async () => {
    const listener = createListener({ connect: () => new pg.Client({ connectionString: database.url }) });
    const heard: string[] = [];
    const [endA] = await Promise.all([
      listener.listen('a', (payload) => heard.push(`a1 ${payload}`)),
      listener.listen('a', (payload) => heard.push(`a2 ${payload}`)),
      listener.listen('With "quotes"', (payload) => heard.push(`q ${payload}`)),
    ]);
    await pool.query(`notify a, '1'`);
    await pool.query(`notify "With ""quotes""", '2'`);
    await expect.poll(() => heard, deadline).toEqual(['a1 1', 'a2 1', 'q 2']);
    await endA();
    await pool.query(`notify a, '3'`);
    await expect.poll(() => heard.slice(3), deadline).toEqual(['a2 3']);
    await listener.close();
    await listener.close();
    await expect(listener.listen('a', () => {})).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  test('waits for a server that is not there yet, and gives up when it is closed', async () => {
    let attempts = 0;
    const listener = createListener({
      connect: (): pg.Client => {
        attempts += 1;
        return new pg.Client({ host: '127.0.0.1', port: 1 });
      },
      random: () => 0,
    });
    const listening = listener.listen('a', () => {});
    listening.catch(() => {});
    await expect.poll(() => attempts, deadline).toBeGreaterThan(2);
    await listener.close();
    await expect(listening).rejects.toThrow('closed');
  });

  const connect = (): pg.Client => new pg.Client();

  test.each([
    [{ connect: 'postgres://x' }, 'connect is a function'],
    [{ connect, heath: {} }, 'unknown option "heath"'],
    [{ connect, health: { interval: 1 } }, 'unknown option "interval"'],
    [{ connect, health: { every: 0 } }, 'health.every'],
  ])('refuses %j', (options, message) => {
    expect(() => createListener(options as never)).toThrow(message);
  });
});

describe('pgClientExecutor()', () => {
  test('keeps statements of others out of a transaction, which ends as it should', async () => {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    const sql = pgClientExecutor(client);
    expect(sql.lacks).toEqual(['sessions']);
    const failure = new Error('not this one');
    const failed = sql.transaction(async (transaction) => {
      await transaction.query('insert into t values (1)');
      throw failure;
    });
    const beside = sql.query('insert into t values (2)');
    await expect(failed).rejects.toBe(failure);
    expect((await beside).rowCount).toBe(1);
    await sql.transaction(async (transaction) => {
      await transaction.query('insert into t values (3)');
      await expect(
        transaction.transaction((savepoint) => savepoint.query('insert into t values (3)')),
      ).rejects.toMatchObject({ code: '23505' });
    });
    const { rows } = await sql.query<{ an_id: number }>('select an_id from t order by 1');
    expect(rows.map((row) => row.an_id)).toEqual([2, 3]);
    const swallowed = sql.transaction(async (transaction) => {
      await transaction.query('select nothing').catch(() => undefined);
    });
    await expect(swallowed).rejects.toMatchObject({ code: '42703' });
    await client.end();
  });

  test('rejects when its connection is gone, and the process goes on', async () => {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    const sql = pgClientExecutor(client);
    const { rows } = await sql.query<{ pid: number }>('select pg_backend_pid() as pid');
    await pool.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
    await expect
      .poll(
        () =>
          sql.query('select 1').then(
            () => 'answered',
            () => 'rejected',
          ),
        deadline,
      )
      .toBe('rejected');
    await expect(sql.transaction((transaction) => transaction.query('select 1'))).rejects.toThrow();
  });
});

test('what is no pool and no Kysely instance is refused', () => {
  expect(() => pgExecutor(new pg.Client() as never)).toThrow('takes a pg.Pool');
  expect(() => pgExecutor(undefined as never)).toThrow('takes a pg.Pool');
  expect(() => kyselyExecutor({} as never)).toThrow('takes a Kysely instance');
  for (const other of [pool, {}, undefined])
    expect(() => pgClientExecutor(other as never)).toThrow('takes a pg.Client');
});
