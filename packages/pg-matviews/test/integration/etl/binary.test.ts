import { pgExecutor } from '@cachekit/core/postgres';
import pg from 'pg';
import { beforeEach, expect, it } from 'vitest';
import { copying } from '../../../src/etl/copying-executor.ts';
import { copyingExecutor, createEtl, type Etl } from '../../../src/etl/index.ts';
import { testDatabase } from '../database.ts';

const remote = testDatabase(`
  create type mood as enum ('calm', 'loud');
  create table odd (id int primary key, m mood, j json, jb jsonb, b bytea, n numeric(20, 4), f float8, ts timestamptz, t timestamp,
    iv interval, a text[], ms mood[], r int4range, c char(5), s varchar(20));
  insert into odd select i, case when i % 3 > 0 then 'loud'::mood end, '{"a" :  1}', 'null', decode(repeat('00ff', i % 900), 'hex'), i / 7.0,
    i / 3.0, '2026-01-01'::timestamptz + i * interval '1 microsecond', '-infinity', i * interval '-1 day', array['x', null, '{"'],
    array['calm']::mood[], int4range(i, i + 5), 'ab', 'zwölf ' || i from generate_series(1, 12000) i`);
const local = testDatabase(`create type mood as enum ('loud', 'calm')`);

beforeEach(async () => {
  await local.pool.query('drop table if exists odd_copy; drop schema if exists cachekit cascade');
});

const binary = (options: { maxRows?: number } = {}): Etl =>
  createEtl({
    name: 'odd',
    remote: copyingExecutor(remote.pool),
    local: copyingExecutor(local.pool),
    from: 'odd',
    to: 'odd_copy',
    key: 'id',
    sources: { odd: { key: 'id', changed: 'xmin' } },
    ...options,
  });

const same = async (): Promise<void> => {
  const digest = (table: string): string =>
    `select count(*)::int as rows, md5(string_agg(${table}::text, '|' order by id)) as digest from ${table}`;
  expect(await local.rows(digest('odd_copy'))).toEqual(await remote.rows(digest('odd')));
};

it('is loaded by binary COPY with every value as it is, also of types that have other numbers here (CW-6)', async () => {
  const etl = binary();
  await etl.install();
  expect(await etl.run()).toMatchObject({ read: 12_000, inserted: 12_000 });
  await same();
});

it('is loaded in several transactions, and loses what is gone in between (CW-6)', async () => {
  const etl = binary({ maxRows: 5_000 });
  await etl.install();
  await local.pool.query('insert into odd_copy (id) values (-4), (20000)');
  const kinds: boolean[] = [];
  etl.on('run', ({ complete }) => kinds.push(complete));
  expect(await etl.run()).toMatchObject({ read: 12_000, deleted: 2 });
  expect(kinds).toEqual([false, false, true]);
  await same();
});

it('goes on with text where one side cannot COPY', async () => {
  const etl = createEtl({
    name: 'odd',
    remote: pgExecutor(remote.pool),
    local: copyingExecutor(local.pool),
    from: 'odd',
    to: 'odd_copy',
    key: 'id',
    sources: { odd: { key: 'id', changed: 'xmin' } },
  });
  await etl.install();
  await etl.run();
  await same();
});

it('leaves both pools usable when the merge fails in the middle of the stream', async () => {
  const etl = binary();
  await etl.install();
  await local.pool.query('alter table odd_copy add constraint small check (id < 7000)');
  await expect(etl.run()).rejects.toMatchObject({ code: '23514' });
  await local.pool.query('alter table odd_copy drop constraint small');
  expect(await local.one('select count(*)::int from odd_copy')).toBe(0);
  await etl.run();
  await same();
});

it('fails as the remote database says when the view cannot be computed', async () => {
  await remote.pool.query('create view broken as select id, 1 / (id - 11000) as x from odd');
  const etl = createEtl({
    name: 'broken',
    remote: copyingExecutor(remote.pool),
    local: copyingExecutor(local.pool),
    from: 'broken',
    to: 'odd_copy',
    key: 'id',
    sources: { odd: { key: 'id', changed: 'xmin' } },
  });
  await etl.install();
  await expect(etl.run()).rejects.toMatchObject({ code: '22012' });
  expect(await local.one('select count(*)::int from odd_copy')).toBe(0);
  expect(await remote.one('select 1')).toBe(1);
});

it('leaves no timer of a pool with a query_timeout', async () => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const pool = new pg.Pool({
    connectionString: remote.url,
    max: 1,
    query_timeout: 600_000,
    idleTimeoutMillis: 0,
  });
  try {
    const sql = copyingExecutor(pool);
    await sql.query('select 1');
    const before = timers();
    const copied = sql.transaction(async (transaction) => {
      const copies = copying(transaction);
      for await (const _ of copies?.copyOut('copy odd (id) to stdout') ?? []);
      await copies?.copyIn('copy odd (id) from stdin', []);
      await copies?.copyIn('copy nothing from stdin', []);
    });
    await expect(copied).rejects.toMatchObject({ code: '42P01' });
    expect(timers()).toBeLessThanOrEqual(before);
  } finally {
    await pool.end();
  }
});
