import { createChangePipeline } from '@cachekit/core';
import { pgClientExecutor, pgExecutor } from '@cachekit/core/postgres';
import {
  bucket,
  count,
  createDoctor,
  createRefresher,
  createViews,
  defineRollup,
  defineView,
  refreshSource,
} from '@cachekit/pg-matviews';
import pg from 'pg';
import { expect, test } from 'vitest';
import { testDatabase } from '../database.ts';
import { findingsOf, mended } from './patient.ts';

const database = testDatabase(`
  create table calls (id bigint generated always as identity primary key, user_id integer not null, at timestamptz not null default now()) ;
  create table events (id bigint, user_id integer not null, at timestamptz not null) partition by range (at);
  create table events_old partition of events for values from ('2020-01-01') to ('2026-01-01');
  insert into calls (user_id) select i % 7 from generate_series(1, 100) i;
`);
const run = (sql: string) => database.pool.query(sql);

const native = defineView({
  name: 'mv_calls',
  kind: 'materialized',
  query: 'select user_id, count(*) as total from calls group by user_id',
  indexes: [{ columns: ['user_id'], unique: true }],
  sources: { calls: {} },
});
const rollup = defineRollup({
  name: 'calls_by_user',
  from: 'calls',
  key: { user_id: 'user_id' },
  measures: { total: count() },
});
const partitioned = defineRollup({
  name: 'events_by_user',
  from: 'events',
  key: { user_id: 'user_id' },
  measures: { total: count() },
});
const views = [native, rollup, partitioned];
const apply = () => createViews({ sql: database.sql, views }).apply({ drift: 'replace' });

test('not-applied: definitions that wait, until the printed script was run', async () => {
  expect(await findingsOf(database, 'not-applied', '', { views })).toHaveLength(3);
  const [first] = await findingsOf(database, 'not-applied', 'mv_calls', { views });
  expect(first?.level).toBe('warning');
  for (const statement of first?.mend ?? []) await run(statement);
  expect(await createDoctor({ sql: database.sql, views }).examine()).toEqual([]);
});

test('drift: a view that somebody replaced, and an index that somebody dropped', async () => {
  await run('drop index mv_calls_user_id_key');
  expect((await mended(database, 'drift', 'mv_calls: mv_calls_user_id_key', { views })).reason).toContain(
    'index',
  );
  await run(`drop view calls_by_user; create view calls_by_user as select 1 as user_id, 2::bigint as total`);
  await mended(database, 'drift', 'calls_by_user', { views });
  expect(await database.one('select sum(total)::int from calls_by_user')).toBe(100);
});

test('trigger-disabled: writes that no trigger sees; the mend marks what was written meanwhile', async () => {
  await run(`select cachekit.refresh_rollup('calls_by_user')`);
  await run(`alter table calls disable trigger cachekit_mark_insert; insert into calls (user_id) values (1)`);
  expect(await database.one('select sum(total)::int from calls_by_user_live')).toBe(100);
  const found = await mended(database, 'trigger-disabled', 'public.calls');
  expect(found.reason).toContain('calls_by_user, mv_calls');
  expect(await database.one('select sum(total)::int from calls_by_user_live')).toBe(101);
});

test('trigger-missing: a trigger, or all of them with their function, was dropped', async () => {
  await run('drop trigger cachekit_mark_delete on calls');
  await mended(database, 'trigger-missing', 'public.calls');
  await run('drop function cachekit."mark_public.calls" cascade; insert into calls (user_id) values (1)');
  await mended(database, 'trigger-missing', 'public.calls');
  expect(await database.one('select sum(total)::int from calls_by_user_live')).toBe(102);
  await run('insert into calls (user_id) values (1)');
  expect(await database.one('select sum(total)::int from calls_by_user_live')).toBe(103);
});

test('trigger-missing: a new partition marks nothing when it is written to directly', async () => {
  await run(`select cachekit.refresh_rollup('events_by_user')`);
  await run(`create table events_new partition of events for values from ('2026-01-01') to ('2100-01-01');
    insert into events_new values (1, 1, '2026-05-05')`);
  expect(await database.one('select count(*)::int from events_by_user_live')).toBe(0);
  const found = await mended(database, 'trigger-missing', 'public.events_new');
  expect(found.reason).toContain('part of public.events');
  expect(await database.one('select count(*)::int from events_by_user_live')).toBe(1);
});

test('trigger-left-over: a detached partition that still marks', async () => {
  await run('alter table events detach partition events_old');
  await mended(database, 'trigger-left-over', 'public.events_old');
});

test('subscription-unmarked: what a subscription applies fires no statement trigger', async () => {
  const { hostname, port, username, pathname } = new URL(database.url);
  await run('create publication everything for table calls');
  const slot = `doctor_${process.pid}`;
  const here = `host=${hostname} port=${port} user=${username} dbname=${pathname.slice(1)}`;
  await run(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
  // It tells of its own tables, which is all that is looked at here.
  await run(
    `create subscription itself connection '${here}' publication everything with (create_slot = false, enabled = false, copy_data = false, slot_name = '${slot}')`,
  );
  try {
    await mended(database, 'subscription-unmarked', 'public.calls');
  } finally {
    await run('alter subscription itself set (slot_name = none)');
    await run('drop subscription itself');
    await run(`select pg_drop_replication_slot('${slot}')`);
  }
});

test('replica-role: sessions of a role fire no triggers', async () => {
  const role = `loader_${process.pid}`;
  // Of this database alone: a doctor of another test would find a setting of the whole server.
  await run(`create role ${role};
    do $$ begin execute format('alter role ${role} in database %I set session_replication_role = replica', current_database()); end $$`);
  try {
    expect((await mended(database, 'replica-role', role)).mend[0]).toContain(
      `ALTER ROLE ${role} IN DATABASE`,
    );
  } finally {
    await run(`drop role ${role}`);
  }
});

test.each(['mv_calls', 'calls_by_user'])(
  'stale-marks: nobody refreshes %s; the printed SQL does',
  async (view) => {
    await run('insert into calls (user_id) values (2)');
    expect(await findingsOf(database, 'stale-marks', view)).toEqual([]);
    await expect
      .poll(async () => (await findingsOf(database, 'stale-marks', view, { patience: 1 })).length)
      .toBe(1);
    await mended(database, 'stale-marks', view, { patience: 1 });
    const total = await database.one(`select sum(total)::int from ${view}`);
    expect(total).toBe(await database.one('select count(*)::int from calls'));
  },
);

test('refresh-failing: the reason of the last failure, until a refresh succeeds', async () => {
  await run(
    `update cachekit.view set failures = 3, last_error = 'canceling statement due to statement timeout', failed_at = now() where name = 'mv_calls'`,
  );
  expect((await mended(database, 'refresh-failing', 'mv_calls')).reason).toContain('statement timeout');
});

test('refresh-failing and stale-marks: a view that is paused', async () => {
  await run(
    `update cachekit.view set failures = 9, last_error = 'division by zero', paused = 'failures' where name = 'mv_calls'`,
  );
  expect((await mended(database, 'refresh-failing', 'mv_calls')).reason).toContain('nobody tries again');
  await run(
    `update cachekit.view set paused = 'call' where name = 'mv_calls'; insert into calls (user_id) values (3)`,
  );
  await expect
    .poll(async () => (await findingsOf(database, 'stale-marks', 'mv_calls', { patience: 1 })).length)
    .toBe(1);
  expect((await mended(database, 'stale-marks', 'mv_calls', { patience: 1 })).reason).toContain('paused it');
  expect(await database.one(`select paused from cachekit.view where name = 'mv_calls'`)).toBeNull();
});

test('orphaned-marks: marks of a view that is gone', async () => {
  await run(`insert into cachekit.mark (view, source, everything) values ('mv_gone', 'public.calls', true)`);
  await mended(database, 'orphaned-marks', 'mv_gone');
});

test('an outbox of another package that the role may not read is left out', async () => {
  const role = `looks_${database.url.split('_').at(-1)}`;
  await run(`create role ${role}; create table cachekit.change (like cachekit.view_change)`);
  await run(createViews({ sql: database.sql, views }).grants({ refresher: role }));
  const session = await database.client();
  await session.query(`set role ${role}`);
  const seen = await createDoctor({ sql: pgClientExecutor(session) }).examine();
  expect(seen.filter(({ object }) => object.includes('change'))).toEqual([]);
  await run(`drop table cachekit.change; drop owned by ${role}`);
  await session.end();
  await run(`drop role ${role}`);
});

test('unread-outbox and dead-consumer: changes that nobody fetches', async () => {
  const patience = 1;
  await run(`insert into cachekit.view_change (source, operation, key) values ('mv_calls', 'refresh', '{}')`);
  await expect
    .poll(async () => (await findingsOf(database, 'unread-outbox', 'view_change', { patience })).length)
    .toBe(1);
  await mended(database, 'unread-outbox', 'view_change', { patience });

  const consumer = createChangePipeline({
    sources: [refreshSource({ sql: database.sql })],
    stages: [async () => {}],
  });
  await consumer.start();
  await expect.poll(() => database.one('select count(*)::int from cachekit.cursor')).toBe(1);
  await consumer.stop();
  await run(`insert into cachekit.view_change (source, operation, key) values ('mv_calls', 'refresh', '{}')`);
  const name = await database.one<string>('select name from cachekit.cursor');
  expect(await findingsOf(database, 'dead-consumer', name)).toEqual([]);
  await expect
    .poll(async () => (await findingsOf(database, 'dead-consumer', name, { patience })).length)
    .toBe(1);
  await mended(database, 'dead-consumer', name, { patience });
});

test('index-missing: proven by the plan of a refresh over a sample of the table', async () => {
  await run(`create table big (id bigint primary key, user_id integer not null, at timestamptz not null);
    insert into big select i, i % 500, timestamptz '2026-01-01Z' + i * interval '1 minute' from generate_series(1, 50000) i; analyze big`);
  const byDay = defineRollup({
    name: 'big_by_day',
    from: 'big',
    key: { day: bucket('at', 'day', { timeZone: 'UTC' }), user_id: 'user_id' },
    measures: { total: count() },
  });
  await createViews({ sql: database.sql, views: [byDay] }).apply();
  const doctor = createDoctor({ sql: database.sql });
  const { plans, advice } = await doctor.explain('big_by_day');
  expect(plans.map(({ of }) => of)).toEqual(['groups', 'part', 'whole']);
  expect(plans[0]?.plan).toMatch(/Seq Scan on big [bt]/);
  expect(advice[0]).toMatchObject({ columns: ['user_id', 'at'], table: 'public.big' });
  expect(advice[0]?.costBefore).toBeGreaterThan(10 * (advice[0]?.costAfter ?? Number.NaN));
  const { mend } = await mended(database, 'index-missing', 'public.big (user_id, at)');
  expect(mend).toEqual(['CREATE INDEX CONCURRENTLY "big_user_id_at_idx" ON public.big ("user_id", "at")']);
  const after = await doctor.explain('big_by_day');
  expect(after.advice).toEqual([]);
  expect(after.plans[0]?.plan).toMatch(
    /Index (Only )?Scan.*big_user_id_at_idx|Bitmap Index Scan on big_user_id_at_idx/,
  );
  // An index on the user alone is not enough where a user has many rows, and the planner says so.
  await run(
    'drop index big_user_id_at_idx; update big set user_id = id % 5; create index big_user on big (user_id); analyze big',
  );
  await createDoctor({ sql: database.sql }).examine();
  await mended(database, 'index-missing', 'public.big (user_id, at)');
  expect(await database.one(`select count(*)::int from pg_class where relname like 'cachekit_sample%'`)).toBe(
    0,
  );
});

test('index-missing: an index without a key that the others tell already is good enough', async () => {
  await run(`create table paired (device_id integer not null, user_id integer not null, at timestamptz not null);
    insert into paired select i % 20, i % 10, timestamptz '2026-01-01Z' + i * interval '1 minute' from generate_series(1, 20000) i;
    create index paired_device_at on paired (device_id, at); analyze paired`);
  const key = { device_id: 'device_id', user_id: 'user_id', day: bucket('at', 'day', { timeZone: 'UTC' }) };
  const byDevice = defineRollup({ name: 'by_device', from: 'paired', key, measures: { total: count() } });
  await createViews({ sql: database.sql, views: [byDevice] }).apply();
  expect(await findingsOf(database, 'index-missing', 'public.paired')).toEqual([]);
  await run('drop index paired_device_at');
  await mended(database, 'index-missing', 'public.paired');
});

test('explain: a native view has the plan of its query, and an unknown one is refused', async () => {
  const doctor = createDoctor({ sql: database.sql });
  const { kind, plans } = await doctor.explain('mv_calls');
  expect([kind, plans.map(({ of }) => of)]).toEqual(['materialized', ['whole']]);
  expect(plans[0]?.plan).toContain('calls');
  await expect(doctor.explain('nothing')).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
});

test('right-missing: what a role that refreshes lacks; after the printed grants it refreshes', async () => {
  const role = `refresher_${process.pid}`;
  await apply();
  await run(`create role ${role}`);
  const pool = new pg.Pool({ connectionString: database.url, options: `-c role=${role}` });
  try {
    const found = await findingsOf(database, 'right-missing', role, { role });
    expect(found).toHaveLength(1);
    expect(found[0]?.reason).toMatch(/SELECT, INSERT on cachekit.mark;.*USAGE of schema cachekit/);
    const refresher = createRefresher({ sql: pgExecutor(pool), views });
    await expect(refresher.refresh('calls_by_user')).rejects.toMatchObject({ code: '42501' });
    for (const statement of found.flatMap(({ mend }) => mend)) await run(statement);
    expect(await findingsOf(database, 'right-missing', role, { role })).toEqual([]);
    await refresher.start();
    await refresher.refresh('mv_calls');
    await refresher.refresh('calls_by_user', { where: { user_id: 1 } });
    await refresher.reconcile('calls_by_user');
    await refresher.relation('calls_by_user', { maxStaleness: '1s' });
    await refresher.stop();
    await run(`drop owned by ${role}`);
    await run(createViews({ sql: database.sql, views }).grants({ refresher: role }));
    expect(await findingsOf(database, 'right-missing', role, { role, views })).toEqual([]);
  } finally {
    await pool.end();
    await run(`drop owned by ${role}; drop role ${role}`);
  }
});

test('right-missing: whoever applied the views may refresh neither those of others nor read their tables', async () => {
  const role = `applier_${process.pid}`;
  const functions = ['refresh_rollup', 'refresh_materialized'].map(
    (name) => `cachekit.${name}(text, boolean, numeric)`,
  );
  await run(`create role ${role}; grant usage on schema cachekit to ${role};
    grant all on all tables in schema cachekit to ${role};
    grant create on schema cachekit to ${role};
    ${functions.map((name) => `alter function ${name} owner to ${role};`).join('')}`);
  try {
    await expect(run(`select cachekit.refresh('mv_calls', true)`)).rejects.toMatchObject({ code: '42501' });
    await expect(run(`select cachekit.refresh('calls_by_user', true)`)).rejects.toMatchObject({
      code: '42501',
    });
    const found = await findingsOf(database, 'right-missing', role);
    expect(found.map(({ object }) => object)).toEqual(
      expect.arrayContaining([`${role}: public.mv_calls`, `${role}: public.calls`]),
    );
    for (const statement of found.flatMap(({ mend }) => mend)) await run(statement);
    expect(await findingsOf(database, 'right-missing', role)).toEqual([]);
    await run(`select cachekit.refresh('mv_calls', true), cachekit.refresh('calls_by_user', true)`);
  } finally {
    await run(`reassign owned by ${role} to current_user; drop owned by ${role}; drop role ${role}`);
  }
});

test('right-missing: the owner of a view may not read its table', async () => {
  const role = `owner_${process.pid}`;
  await run(`create role ${role}; create materialized view mv_owned as select id from calls; create unique index on mv_owned (id);
    alter materialized view mv_owned owner to ${role}`);
  try {
    await expect(run('refresh materialized view mv_owned')).rejects.toMatchObject({ code: '42501' });
    await mended(database, 'right-missing', `${role}: public.calls`);
    await run('refresh materialized view mv_owned');
  } finally {
    await run(`drop owned by ${role}; drop role ${role}`);
  }
});

test('row-security-bypassed and row-security-partial: what policies hide is shown, or left out, by a view', async () => {
  const reader = `reader_${process.pid}`;
  const owner = `views_${process.pid}`;
  await run(`
    create role ${reader}; create role ${owner};
    create table notes (id bigint primary key, user_id integer not null);
    insert into notes select i, i % 5 from generate_series(1, 50) i;
    alter table notes enable row level security;
    create policy mine on notes using (user_id = current_setting('app.user_id', true)::integer);
    grant select on notes to ${reader}, ${owner};
    create view v_notes as select * from notes;
    create materialized view mv_notes as select user_id, count(*) as n from notes group by user_id;
    create unique index on mv_notes (user_id);
    grant select on v_notes, mv_notes to ${reader}`);
  const notes = defineRollup({
    name: 'notes_by_user',
    from: 'notes',
    key: { user_id: 'user_id' },
    measures: { n: count() },
  });
  const session = await database.client();
  const users = async (view: string) => {
    await session.query(`set role ${reader}; set app.user_id = '1'`);
    const { rows } = await session.query(`select distinct user_id from ${view}`);
    await session.query('reset role');
    return rows.length;
  };
  try {
    await createViews({ sql: database.sql, views: [notes] }).apply();
    await run(`grant select on notes_by_user to ${reader}`);
    expect([await users('v_notes'), await users('mv_notes'), await users('notes_by_user')]).toEqual([
      5, 5, 5,
    ]);
    await mended(database, 'row-security-bypassed', `public.v_notes for ${reader}`);
    expect(await users('v_notes')).toBe(1);
    await mended(database, 'row-security-bypassed', `public.mv_notes for ${reader}`);
    await mended(database, 'row-security-bypassed', `public.notes_by_user for ${reader}`);
    await expect(users('mv_notes')).rejects.toMatchObject({ code: '42501' });
    await session.query('reset role');

    await run(
      `alter materialized view mv_notes owner to ${owner}; set app.user_id = '1'; refresh materialized view mv_notes`,
    );
    expect(await database.one('select count(*)::int from mv_notes')).toBe(1);
    await mended(database, 'row-security-partial', 'public.mv_notes');
    await run('refresh materialized view mv_notes');
    expect(await database.one('select count(*)::int from mv_notes')).toBe(5);

    const guarded = defineRollup({
      name: 'notes_by_user',
      from: 'notes',
      key: { user_id: 'user_id' },
      measures: { n: count() },
      tenant: { column: 'user_id', setting: 'app.user_id' },
    });
    await createViews({ sql: database.sql, views: [guarded] }).apply();
    await run(`grant select on notes_by_user to ${reader}`);
    expect(await users('notes_by_user')).toBe(1);
    expect(await findingsOf(database, 'row-security-bypassed', 'notes_by_user')).toEqual([]);
  } finally {
    await run(`drop owned by ${reader}, ${owner}; drop role ${reader}, ${owner}`);
  }
});

test('row-security-bypassed: a tenant view that everybody may read', async () => {
  const tenants = defineView({
    name: 'mv_tenants',
    kind: 'materialized',
    query: 'select user_id, count(*) as n from calls group by user_id',
    indexes: [{ columns: ['user_id'], unique: true }],
    tenant: 'user_id',
  });
  await createViews({ sql: database.sql, views: [tenants] }).apply();
  expect(await findingsOf(database, 'row-security-bypassed', 'mv_tenants')).toEqual([]);
  await run('grant select on mv_tenants to public');
  await mended(database, 'row-security-bypassed', 'public.mv_tenants for PUBLIC');
});
