import { useDatabase } from '@cachekit/services/vitest';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { count, createRefresher, createViews, defineRollup, defineView } from '../../src/index.ts';
import { testDatabase } from './database.ts';

const tables = `
  create table calls (id int primary key, user_id int not null, status text);
  create table parted (id int primary key, user_id int not null) partition by range (id);
  create table parted_low partition of parted for values from (0) to (100);
  create table parted_high partition of parted for values from (100) to (200);
`;
const publisher = useDatabase();
const database = testDatabase(tables);
const rollup = (name: string, from: string) =>
  defineRollup({ name, from, key: { user_id: 'user_id' }, measures: { total: count().as('integer') } });
const perUser = rollup('per_user', 'calls');
const perPart = rollup('per_part', 'parted');
const native = defineView({
  name: 'native',
  kind: 'materialized',
  query: 'select user_id, count(*)::int as total from calls group by user_id',
  indexes: [{ columns: ['user_id'], unique: true }],
  tenant: 'user_id',
  sources: { calls: { tenant: 'user_id' } },
});
const views = [perUser, perPart, native];
const catalog = () => createViews({ sql: database.sql, views });
let remote: pg.Client;

const applied = (table: string, rows: number): Promise<void> =>
  vi.waitFor(async () => expect(await database.one(`select count(*)::int from ${table}`)).toBe(rows), {
    timeout: 20_000,
    interval: 20,
  });
async function holds(): Promise<void> {
  const keeper = createRefresher({ sql: database.sql, views });
  for (const [view, table] of [
    ['per_user', 'calls'],
    ['per_part', 'parted'],
    ['native', 'calls'],
  ]) {
    const truth = await database.rows(
      `select user_id, count(*)::int as total from ${table} group by 1 order by 1`,
    );
    if (view !== 'native')
      expect(await database.rows(`select user_id, total from ${view}_live order by 1`)).toEqual(truth);
    await keeper.waitFresh(view as string);
    expect(await database.rows(`select user_id, total from ${view} order by 1`)).toEqual(truth);
  }
}

beforeAll(async () => {
  remote = new pg.Client({ connectionString: publisher.url });
  await remote.connect();
  await remote.query(tables);
  await remote.query('insert into calls select g, g % 3 from generate_series(1, 50) g');
  await remote.query('create publication everything for table calls, parted');
  // A subscription to the same server waits for itself, unless its slot is there before.
  await remote.query(`select pg_create_logical_replication_slot('cachekit_views', 'pgoutput')`);
  await catalog().apply();
  const url = new URL(publisher.url);
  await database.pool.query(
    `create subscription everything connection 'host=${url.hostname} port=${url.port} user=${url.username} dbname=${url.pathname.slice(1)}'
     publication everything with (create_slot = false, slot_name = 'cachekit_views')`,
  );
  await applied('calls', 50);
});
afterAll(async () => {
  await database.pool.query('drop subscription if exists everything').catch(() => undefined);
  await remote.end();
});

describe('a table that a subscription writes to', () => {
  it('does not mark before its triggers are for it, which check() says and apply() mends', async () => {
    expect(await catalog().check()).toContainEqual({
      view: 'per_user',
      what: 'trigger',
      object: 'public.calls',
    });
    await catalog().apply();
    expect(await catalog().check()).toEqual([]);
    await holds();
  });

  it('marks what is applied: inserts, updates, moved keys, deletes and TRUNCATE', async () => {
    await remote.query(`insert into calls values (100, 7), (101, 7)`);
    await applied('calls', 52);
    await holds();
    await remote.query(`update calls set user_id = 8 where id = 100; delete from calls where id = 1`);
    await applied('calls', 51);
    await holds();
    await remote.query('truncate calls');
    await applied('calls', 0);
    await holds();
  });

  it('marks what is applied to partitions', async () => {
    await remote.query('insert into parted select g * 10, g % 3 from generate_series(0, 19) g');
    await applied('parted', 20);
    await holds();
    await remote.query('delete from parted_low where id < 50');
    await applied('parted', 15);
    await holds();
  });

  it('marks once what is written here', async () => {
    await database.pool.query('insert into calls values (1, 1)');
    expect(await database.one(`select count(*)::int from cachekit.mark where view = 'per_user'`)).toBe(1);
    await holds();
    await remote.query('insert into calls select g, g from generate_series(1000, 12000) g');
    await applied('calls', 11_002);
    expect(
      await database.one(`select count(*)::int from cachekit.mark where view = 'per_user'`),
    ).toBeLessThan(20_010);
    await holds();
  });

  it('is left as any other when the subscription is gone', async () => {
    await database.pool.query(
      'alter subscription everything disable; alter subscription everything set (slot_name = none)',
    );
    await database.pool.query('drop subscription everything');
    // What sent from the slot may have yet to notice that nobody receives.
    const sending = "select from pg_replication_slots where slot_name = 'cachekit_views' and active";
    await expect.poll(async () => (await remote.query(sending)).rowCount, { timeout: 20_000 }).toBe(0);
    await remote.query(`select pg_drop_replication_slot('cachekit_views')`);
    await catalog().apply();
    expect(await catalog().check()).toEqual([]);
    expect(
      await database.one(`select count(*)::int from pg_trigger where tgname = 'cachekit_mark_row'`),
    ).toBe(0);
    await database.pool.query('insert into calls values (2, 1)');
    await holds();
  });
});
