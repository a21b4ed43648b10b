import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createViews, defineView } from '../../src/index.ts';
import { testDatabase } from './database.ts';

const database = testDatabase(`
  create table calls (
    id int primary key, user_id int, device_id int, status text, note json, amount numeric, seen timestamptz
  );
  create table devices (id int primary key, user_id int not null, name text);
  create table lines (id int primary key, device_id int references devices on delete cascade, user_id int);
  create table parted (id int, user_id int) partition by range (id);
  create table parted_low partition of parted for values from (0) to (100);
  create table parted_high partition of parted for values from (100) to (200);
`);

const perUser = defineView({
  name: 'per_user',
  kind: 'materialized',
  query: `select user_id, count(*) as total, max(status) as status, sum(amount) as amount, max(note::text) as note
          from calls group by user_id`,
  indexes: [{ columns: ['user_id'], unique: true }],
  tenant: 'user_id',
  sources: { calls: { tenant: 'user_id' } },
});

const perDevice = defineView({
  name: 'per_device',
  kind: 'materialized',
  query: `select d.user_id, d.id as device_id, count(c.id) as total, d.name
          from devices d left join calls c on c.device_id = d.id group by d.id`,
  indexes: [{ columns: ['device_id'], unique: true }],
  tenant: 'user_id',
  sources: {
    calls: { tenant: 'user_id', key: { device_id: 'device_id' } },
    devices: { tenant: 'user_id', key: { device_id: 'id' } },
  },
});

const others = [
  defineView({
    name: 'per_line',
    kind: 'materialized',
    query: 'select user_id, count(*) as n from lines group by 1',
    tenant: 'user_id',
    sources: { lines: { tenant: 'user_id' } },
  }),
  defineView({
    name: 'per_part',
    kind: 'materialized',
    query: 'select user_id, count(*) as n from parted group by 1',
    tenant: 'user_id',
    sources: { parted: { tenant: 'user_id' } },
  }),
];

interface Mark {
  readonly view: string;
  readonly tenant: string | null;
  readonly key: Record<string, unknown> | null;
  readonly everything: boolean;
}

/** Marks since the last call, in a fixed order. */
const marks = (): Promise<Mark[]> =>
  database.rows<Mark>(`with taken as (delete from cachekit.mark returning view, source, tenant, key, everything)
    select view, tenant, key, everything from taken order by view, source, tenant, key::text`);
const tenantsOf = async (view: string): Promise<(string | null)[]> =>
  (await marks()).filter((mark) => mark.view === view).map(({ tenant }) => tenant);

beforeAll(async () => {
  await createViews({ sql: database.sql, views: [perUser, perDevice, ...others] }).apply();
  await marks();
});
afterEach(async () => {
  await database.pool.query('delete from calls; delete from devices');
  await marks();
});

describe('marks', () => {
  it('are one per changed tenant and key, statement and view', async () => {
    await database.pool.query(
      `insert into calls (id, user_id, device_id) select g, g % 2, g % 3 from generate_series(1, 60) g`,
    );
    const written = await marks();
    expect(written.filter(({ view }) => view === 'per_user')).toEqual([
      { view: 'per_user', tenant: '0', key: null, everything: false },
      { view: 'per_user', tenant: '1', key: null, everything: false },
    ]);
    expect(
      written.filter(({ view }) => view === 'per_device').map(({ tenant, key }) => [tenant, key]),
    ).toEqual(['0', '1'].flatMap((tenant) => [0, 1, 2].map((device_id) => [tenant, { device_id }])));
    expect(written).toHaveLength(8);
  });

  it('hold columns of the changed row only, before and after', async () => {
    await database.pool.query(
      `insert into calls (id, user_id, status) values (1, 7, 'failed'), (2, 7, 'failed'), (3, 9, 'failed')`,
    );
    await marks();
    await database.pool.query(`update calls set user_id = 8 where id = 1`);
    expect(await tenantsOf('per_user')).toEqual(['7', '8']);
    await database.pool.query(`delete from calls where id = 3`);
    expect(await tenantsOf('per_user')).toEqual(['9']);
  });

  it('are not made by an update that changes nothing the view reads', async () => {
    await database.pool.query(
      `insert into calls (id, user_id, status, note, amount) values (1, 7, 'failed', '{"a": 1}', 1.0)`,
    );
    await marks();
    await database.pool.query(`update calls set seen = now(), status = 'failed'`);
    await database.pool.query(`update calls set status = 'answered' where id = 999`);
    expect(await marks()).toEqual([]);
    await database.pool.query(`update calls set note = '{"a": 2}'`);
    expect(await tenantsOf('per_user')).toEqual(['7']);
    await database.pool.query(`update calls set amount = 1.00`);
    expect(await tenantsOf('per_user')).toEqual(['7']);
    await database.pool.query(`update calls set status = 'FAILED'`);
    expect(await tenantsOf('per_user')).toEqual(['7']);
  });

  it('are made by ON CONFLICT, MERGE, COPY and a cascading foreign key', async () => {
    await database.pool.query(`insert into calls (id, user_id) values (1, 3)`);
    await marks();
    await database.pool.query(
      `insert into calls (id, user_id, status) values (1, 3, 'x'), (2, 4, 'y') on conflict (id) do update set status = excluded.status`,
    );
    expect((await tenantsOf('per_user')).sort()).toEqual(['3', '4']);
    await database.pool.query(`merge into calls c using (values (1, 'm'), (5, 'n')) s (id, status) on s.id = c.id
      when matched then update set status = s.status when not matched then insert (id, user_id, status) values (s.id, 6, s.status)`);
    expect((await tenantsOf('per_user')).sort()).toEqual(['3', '6']);
    await database.pool.query(`insert into devices values (1, 11, 'a'); insert into lines values (1, 1, 11)`);
    await marks();
    await database.pool.query(`delete from devices where id = 1`);
    expect((await marks()).map(({ view, tenant }) => [view, tenant])).toEqual([
      ['per_device', '11'],
      ['per_line', '11'],
    ]);
  });

  it('say everything after a TRUNCATE', async () => {
    await database.pool.query(`insert into calls (id, user_id) values (1, 3)`);
    await marks();
    await database.pool.query('truncate calls');
    expect((await marks()).map(({ view, everything }) => [view, everything])).toEqual([
      ['per_device', true],
      ['per_user', true],
    ]);
  });

  it('vanish with the transaction or the savepoint that made them', async () => {
    await database.pool.query(`begin; insert into calls (id, user_id) values (1, 3); rollback`);
    expect(await marks()).toEqual([]);
    await database.pool.query(`begin; savepoint a; insert into calls (id, user_id) values (1, 3); rollback to a;
      insert into calls (id, user_id) values (2, 4); commit`);
    expect(await tenantsOf('per_user')).toEqual(['4']);
  });

  it('are written for a role that may only insert, under any search path', async () => {
    await database.pool.query(`do $$ begin create role cachekit_views_writer; exception when duplicate_object then null; end $$;
      grant insert on calls to cachekit_views_writer;
      create schema if not exists trap; create table if not exists trap.mark (x int); grant usage on schema trap to cachekit_views_writer`);
    const writer = await database.client();
    await writer.query(`set role cachekit_views_writer; set search_path = trap, pg_catalog`);
    await writer.query(`insert into public.calls (id, user_id) values (1, 21)`);
    await writer.query(`set search_path = ''`);
    await writer.query(`insert into public.calls (id, user_id) values (2, 22)`);
    expect((await tenantsOf('per_user')).sort()).toEqual(['21', '22']);
    await expect(writer.query('delete from cachekit.mark')).rejects.toMatchObject({ code: '42501' });
  });

  it('are made by a write that goes to a partition directly, and through the parent', async () => {
    await database.pool.query(`insert into parted values (1, 5), (150, 6)`);
    expect((await tenantsOf('per_part')).sort()).toEqual(['5', '6']);
    await database.pool.query(`insert into parted_high values (151, 7)`);
    expect(await tenantsOf('per_part')).toEqual(['7']);
    await database.pool.query(`update parted set id = 2, user_id = 8 where id = 150`);
    expect((await tenantsOf('per_part')).sort()).toEqual(['6', '8']);
  });

  it('are not made by a statement that touches no row', async () => {
    await database.pool.query(`insert into calls select where false`);
    await database.pool.query(`delete from calls where id = 12345`);
    expect(await marks()).toEqual([]);
  });

  it('never make the statement of the user fail: a column that was renamed marks everything', async () => {
    await database.pool.query('alter table calls rename column device_id to phone_id');
    try {
      await database.pool.query(`insert into calls (id, user_id) values (1, 3)`);
      await database.pool.query(`update calls set status = 'x'`);
      await database.pool.query(`delete from calls`);
      const written = await marks();
      expect(written).toHaveLength(6);
      expect(written.every(({ everything }) => everything)).toBe(true);
    } finally {
      await database.pool.query('alter table calls rename column phone_id to device_id');
    }
    await database.pool.query(`insert into calls (id, user_id) values (1, 3)`);
    expect(await tenantsOf('per_user')).toEqual(['3']);
  });

  it('never make the statement of the user fail: not even without the log', async () => {
    await database.pool.query('alter table cachekit.mark rename to away');
    try {
      await database.pool.query(
        `insert into calls (id, user_id) values (1, 3); update calls set status = 'x'; truncate calls`,
      );
    } finally {
      await database.pool.query('alter table cachekit.away rename to mark');
    }
    expect(await marks()).toEqual([]);
  });

  it('take no subtransaction id, so that a transaction of many statements stays cheap for everybody', async () => {
    const client = await database.client();
    await client.query('begin');
    for (let i = 0; i < 5; i++) await client.query('insert into calls (id, user_id) values ($1, 1)', [i]);
    const { rows } = await client.query(
      `select count(distinct xmin::text)::int as ids, (select count(distinct xid)::int from cachekit.mark) as marked from calls`,
    );
    const { rows: inMarks } = await client.query(
      `select count(distinct xmin::text)::int as ids from cachekit.mark`,
    );
    await client.query('rollback');
    expect([rows[0], inMarks[0]]).toEqual([{ ids: 1, marked: 1 }, { ids: 1 }]);
  });

  it('make no writer wait for another', async () => {
    const clients = await Promise.all(Array.from({ length: 8 }, () => database.client()));
    await Promise.all(clients.map((client) => client.query('begin')));
    await Promise.all(
      clients.map((client, i) => client.query('insert into calls (id, user_id) values ($1, 1)', [i])),
    );
    await Promise.all(clients.map((client) => client.query('commit')));
    expect(await tenantsOf('per_user')).toHaveLength(8);
  });

  it('wake nobody by NOTIFY while nobody sleeps', async () => {
    const listening = await database.client();
    const heard: string[] = [];
    listening.on('notification', ({ channel }) => heard.push(channel));
    await listening.query('listen cachekit_view');
    await database.pool.query('insert into calls (id, user_id) values (1, 1)');
    await database.pool.query(`insert into cachekit.wake values ('test', 'view', true)`);
    await database.pool.query('insert into calls (id, user_id) values (2, 1)');
    await database.pool.query(`delete from cachekit.wake where name = 'test'`);
    await database.pool.query('insert into calls (id, user_id) values (3, 1)');
    await listening.query('select 1');
    expect(heard).toEqual(['cachekit_view']);
  });

  it('are made for views of another catalog over the same table too, and no more once it is gone', async () => {
    const other = defineView({
      name: 'other_catalog',
      kind: 'materialized',
      query: 'select count(*) as n from calls',
      sources: { calls: {} },
    });
    await createViews({ sql: database.sql, schema: 'other', views: [other] }).apply();
    await marks();
    await database.pool.query('insert into calls (id, user_id, device_id) values (1, 1, 1)');
    expect((await marks()).map(({ view, everything }) => [view, everything])).toEqual([
      ['other_catalog', true],
      ['per_device', false],
      ['per_user', false],
    ]);
    await createViews({ sql: database.sql, schema: 'other', views: [] }).apply({ prune: true });
    await database.pool.query('insert into calls (id, user_id, device_id) values (2, 1, 1)');
    expect((await marks()).map(({ view }) => view)).toEqual(['per_device', 'per_user']);
  });
});

describe('sources', () => {
  it('must exist, be tables and have the columns that are named', async () => {
    const view = (sources: NonNullable<Parameters<typeof defineView>[0]['sources']>, tenant = 'user_id') =>
      createViews({
        sql: database.sql,
        views: [
          defineView({
            name: 'wrong',
            kind: 'materialized',
            query: 'select user_id from calls',
            tenant,
            sources,
          }),
        ],
      }).plan();
    await expect(view({ nowhere: {} })).rejects.toThrow('there is no such table');
    await expect(view({ calls: { tenant: 'owner' } })).rejects.toThrow('no column "owner"');
    await expect(view({ calls: { key: { user_id: 'nothing' } } })).rejects.toThrow('no column "nothing"');
    await expect(view({ calls: { key: { nothing: 'user_id' } } })).rejects.toThrow('no column "nothing"');
    await expect(view({ calls: {} }, 'account')).rejects.toThrow('no column "account"');
    await expect(view({ per_user: {} })).rejects.toThrow('only a table can mark views');
  });

  it('that are forgotten are named by the plan', async () => {
    const forgetful = defineView({
      name: 'forgetful',
      kind: 'materialized',
      query:
        'select d.id, count(c.id) as n from devices d left join calls c on c.device_id = d.id group by 1',
      sources: { calls: {} },
    });
    const plan = await createViews({ sql: database.sql, schema: 'planned', views: [forgetful] }).plan();
    expect(plan[0]).toMatchObject({ view: 'forgetful', action: 'create', unmarked: ['public.devices'] });
  });
});
