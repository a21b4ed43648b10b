import { kyselyExecutor, pgExecutor } from '@cachekit/core/postgres';
import { createDoctor, defineView } from '@cachekit/pg-matviews';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { expect, test } from 'vitest';
import { testDatabase } from '../database.ts';
import { findingsOf, mended } from './patient.ts';

const database = testDatabase(`
  create table devices (id integer primary key, name text not null);
  create table calls (id bigint primary key, device_id integer, start_time timestamptz not null, local_time timestamp not null default now(), duration integer not null default 10);
  create table surveys (id bigint primary key, call_id bigint not null, rating integer not null);
  insert into devices values (1, 'recent'), (2, 'old only'), (3, 'never');
  insert into calls (id, device_id, start_time) values
    (1, 1, now()), (2, 1, now() - interval '1 day'), (3, 2, now() - interval '200 days');
  insert into surveys values (1, 1, 5), (2, 1, 3);
`);
const run = (sql: string) => database.pool.query(sql);
const drop = (...views: string[]) =>
  run(views.map((view) => `drop materialized view ${view} cascade;`).join(''));

test('session-time-zone: the same row is in another bucket for another session', async () => {
  await run(`
    insert into calls (id, device_id, start_time) values (100, 3, '2026-11-20 02:00Z');
    create view v_days as select id, device_id, start_time::date as day, local_time::date as local_day from calls;
    create materialized view mv_days as
      select device_id, date_trunc('hour', start_time) as hour, date_trunc('month', start_time)::date as month, date_trunc('day', local_time) as local_day, count(*) as n
      from calls group by 1, 2, 3, 4;
    create unique index on mv_days (device_id, hour, local_day);
    create materialized view mv_over_days as select day, count(*) as n from v_days group by day;
    create unique index on mv_over_days (day)`);
  const elsewhere = await database.client();
  const days = async (view: string) => {
    await elsewhere.query(`set timezone = 'America/Sao_Paulo'`);
    await elsewhere.query(`refresh materialized view ${view}`);
    return JSON.stringify((await elsewhere.query(`select t::text from ${view} t order by 1`)).rows);
  };
  const before = await days('mv_over_days');
  expect((await mended(database, 'session-time-zone', 'public.mv_days')).reason).toContain('Say the zone');
  await mended(database, 'session-time-zone', 'public.v_days');
  expect(await days('mv_over_days')).not.toBe(before);
  expect(await days('mv_over_days')).toContain('2026-11-20');
  const definition = await database.one<string>(`select pg_get_viewdef('mv_days'::regclass)`);
  expect(definition).toMatch(/date_trunc\('hour'::text, (calls\.)?start_time, '[\w/]+'::text\)/);
  // A timestamp without time zone is nobody's, and stays.
  expect(definition).toMatch(/date_trunc\('day'::text, (calls\.)?local_time\)/);
  await drop('mv_days', 'mv_over_days');
  await run('drop view v_days; delete from calls where id = 100');
});

test('session-time-zone: hours and texts of a time; seconds since the epoch are the same for all', async () => {
  await run(`
    create materialized view mv_hours as
      select id, extract(hour from start_time) as hour, to_char(start_time, 'YYYY-MM') as month, extract(epoch from start_time) as seconds from calls;
    create unique index on mv_hours (id);
    create materialized view mv_epoch as select id, extract(epoch from start_time) as seconds from calls;
    create unique index on mv_epoch (id)`);
  await mended(database, 'session-time-zone', 'public.mv_hours');
  expect(await findingsOf(database, 'session-time-zone', 'mv_epoch')).toEqual([]);
  expect(await database.one<string>(`select pg_get_viewdef('mv_hours'::regclass)`)).toMatch(
    /EXTRACT\(hour FROM \(+(calls\.)?start_time\)* AT TIME ZONE[\s\S]*to_char\(\(+(calls\.)?start_time\)* AT TIME ZONE[\s\S]*EXTRACT\(epoch FROM (calls\.)?start_time\)/,
  );
  await drop('mv_hours', 'mv_epoch');
});

test('session-time-zone: a plain view that nothing stored reads may follow the session of its reader', async () => {
  await run('create view v_mine as select id, start_time::date as day from calls');
  expect(await findingsOf(database, 'session-time-zone', 'v_mine')).toEqual([]);
});

test('window-not-aligned: the first day of the window is cut (seed 000)', async () => {
  await run(`
    create materialized view mv_window as
      select date_trunc('day', start_time, 'UTC') as day, count(*) as n from calls where start_time >= now() - interval '1 day' group by 1;
    create unique index on mv_window (day)`);
  await mended(database, 'window-not-aligned', 'mv_window');
  // However late on that day: the call of a day ago is in, and all others of its day would be.
  expect(await database.one<string>(`select pg_get_viewdef('mv_window'::regclass)`)).toContain(
    `date_trunc('day'::text, (now() - '1 day'::interval), 'UTC'::text)`,
  );
  await run('refresh materialized view concurrently mv_window');
  expect(await database.one('select sum(n)::int from mv_window')).toBe(2);
  await drop('mv_window');
});

test('outer-join-undone: a device with old calls only disappears (seed 000)', async () => {
  await run(`create view v_devices as
    select d.id, d.name, count(c.id) as calls from devices d left join calls c on c.device_id = d.id
    where c.start_time >= now() - interval '90 days' or c.id is null group by d.id, d.name`);
  const names = async () =>
    (await database.rows<{ name: string }>('select name from v_devices order by 1')).map((r) => r.name);
  expect(await names()).toEqual(['never', 'recent']);
  await mended(database, 'outer-join-undone', 'v_devices');
  expect(await names()).toEqual(['never', 'old only', 'recent']);
  expect(await database.one(`select calls::int from v_devices where name = 'old only'`)).toBe(0);
});

test('outer-join-undone: a condition that makes LEFT JOIN an inner one; asking for what is absent is fine', async () => {
  await run(`
    create view v_inner as select d.name, c.id from devices d left join calls c on c.device_id = d.id where d.id > 0 and c.duration > 5;
    create view v_absent as select d.name from devices d left join calls c on c.device_id = d.id where c.id is null`);
  expect(await findingsOf(database, 'outer-join-undone', 'v_absent')).toEqual([]);
  await mended(database, 'outer-join-undone', 'v_inner');
  expect(await database.one(`select count(*)::int from v_inner where name = 'never'`)).toBe(1);
});

test('fan-out-join: a second survey counts its call twice (seed 001)', async () => {
  await run(`create view v_rated as
    select c.device_id, count(c.id) as calls, sum(c.duration) as seconds, avg(s.rating) as rating
    from calls c left join surveys s on s.call_id = c.id group by c.device_id`);
  const calls = () => database.one('select calls::int from v_rated where device_id = 1');
  expect(await calls()).toBe(3);
  await mended(database, 'fan-out-join', 'v_rated');
  expect(await calls()).toBe(2);
  expect(await database.one('select rating::int from v_rated where device_id = 1')).toBe(3);
});

test('fan-out-join: a view of one row per call that a second survey doubles, for all that is stored above it (seed 001)', async () => {
  await run(`
    create view v_surveys as select call_id, rating from surveys;
    create view v_stats as select call_id, count(*) as n from surveys group by call_id;
    create view v_analytics as select c.*, s.rating, t.n from calls c left join v_surveys s on s.call_id = c.id left join v_stats t on t.call_id = c.id;
    create view v_list as select c.id, s.rating from calls c left join surveys s on s.call_id = c.id;
    create materialized view mv_daily as select device_id, count(*) as calls from v_analytics group by device_id;
    create unique index on mv_daily (device_id);
    create materialized view mv_list as select id, rating from v_list`);
  expect(await database.one('select sum(calls)::int from mv_daily')).toBe(4);
  await mended(database, 'fan-out-join', 'public.v_analytics');
  await run('refresh materialized view concurrently mv_daily');
  expect(await database.one('select sum(calls)::int from mv_daily')).toBe(3);
  // A list of calls with their surveys is one.
  expect(await findingsOf(database, 'fan-out-join', 'v_list')).toEqual([]);
  await drop('mv_daily', 'mv_list');
});

test('fan-out-join: counting the many side is what a join is for', async () => {
  await run(`
    create view v_many as select d.id, count(c.id) as calls from devices d left join calls c on c.device_id = d.id group by d.id;
    create view v_chain as select d.id, sum(s.rating) as ratings from devices d join calls c on c.device_id = d.id join surveys s on s.call_id = c.id group by d.id`);
  expect(await findingsOf(database, 'fan-out-join', '')).toEqual([]);
});

test('average-stored: without its sum and count no month can be made of days', async () => {
  await run(`
    create materialized view mv_average as
      select device_id, round(avg(duration) filter (where duration > 5), 2) as seconds from calls group by device_id;
    create unique index on mv_average (device_id);
    create view v_mean as select avg(duration) as a from calls`);
  expect(await findingsOf(database, 'average-stored', 'v_mean')).toEqual([]);
  await mended(database, 'average-stored', 'mv_average');
  expect(await database.one('select sum(seconds_sum)::int from mv_average')).toBe(30);
  expect(await database.one('select sum(seconds_count)::int from mv_average')).toBe(3);
  await run('refresh materialized view concurrently mv_average');
  await drop('mv_average');
});

test('average-stored: beside a sum, count(*) is the count of a column that cannot be NULL, and of no other', async () => {
  const averaged = (column: string, more: string, from = 'calls'): Promise<unknown> =>
    run(`drop materialized view if exists mv_average; create materialized view mv_average as
      select calls.device_id, avg(${column}) as a, sum(${column}) as s, ${more} from ${from} group by 1`);
  const found = (): Promise<unknown> => findingsOf(database, 'average-stored', 'mv_average');
  await averaged('duration', 'count(*) as n');
  expect(await found()).toEqual([]);
  await averaged('calls.device_id', 'count(*) as n');
  expect(await found()).toHaveLength(1);
  await averaged('duration', 'count(duration) filter (where duration > 5) as n');
  expect(await found()).toHaveLength(1);
  await averaged('duration', 'count(*) as n', 'devices d left join calls on calls.device_id = d.id');
  expect(await found()).toHaveLength(1);
  await drop('mv_average');
});

test('several mistakes in one view are mended by one piece of SQL, which says to change the definition too', async () => {
  await run(`create materialized view mv_all as
    select date_trunc('day', start_time) as day, avg(duration) as seconds from calls where start_time >= now() - interval '300 days' group by 1;
    create unique index on mv_all (day)`);
  const views = [defineView({ name: 'mv_all', kind: 'materialized', query: 'select 1 as one' })];
  const found = await Promise.all(
    (['session-time-zone', 'window-not-aligned', 'average-stored'] as const).map((defect) =>
      findingsOf(database, defect, 'mv_all', { views }),
    ),
  );
  const mends = new Set(found.flat().map(({ mend }) => mend.join()));
  expect([found.flat().length, mends.size]).toEqual([3, 1]);
  expect(found.flat()[0]?.reason).toContain('Change the definition in the catalog likewise');
  for (const sql of mends) await run(sql);
  for (const defect of ['session-time-zone', 'window-not-aligned', 'average-stored'] as const) {
    expect(await findingsOf(database, defect, 'mv_all')).toEqual([]);
  }
  await drop('mv_all');
});

test('what mends one view may bring another back; asked again, the doctor ends with nothing', async () => {
  await run(`
    create materialized view mv_low as select date_trunc('day', start_time) as day, device_id, avg(duration) as seconds
      from calls where start_time >= now() - interval '90 days' group by 1, 2;
    create index on mv_low (device_id, day desc);
    create materialized view mv_high as select date_trunc('month', day) as month, avg(seconds) as seconds from mv_low group by 1;
    grant select on mv_high to pg_monitor;`);
  const doctor = createDoctor({ sql: database.sql });
  const rounds: number[] = [];
  for (;;) {
    const mends = new Set((await doctor.examine()).flatMap(({ mend }) => mend));
    rounds.push(mends.size);
    if (mends.size === 0 || rounds.length > 5) break;
    for (const sql of mends) await run(sql);
  }
  expect(rounds.at(-1)).toBe(0);
  await run('refresh materialized view concurrently mv_low; refresh materialized view concurrently mv_high');
  expect(await database.one(`select has_table_privilege('pg_monitor', 'mv_high', 'select')`)).toBe(true);
});

test('what the role of the doctor may not read, it leaves out; what the catalog says, it tells', async () => {
  const role = `passer_by_${process.pid}`;
  await run(`create role ${role};
    create materialized view mv_secret as select device_id, (start_time)::date as day, count(*) as n from calls group by 1, 2;
    create unique index on mv_secret (device_id, day)`);
  const pool = new pg.Pool({ connectionString: database.url, options: `-c role=${role}` });
  try {
    await expect(pool.query('select from mv_secret')).rejects.toMatchObject({ code: '42501' });
    const found = await createDoctor({ sql: pgExecutor(pool) }).examine();
    expect(found.map(({ defect, object }) => [defect, object])).toContainEqual([
      'session-time-zone',
      'public.mv_secret',
    ]);
  } finally {
    await pool.end();
    await drop('mv_secret');
    await run(`drop role ${role}`);
  }
});

test('the doctor works through Kysely as well', async () => {
  await run('create materialized view mv_kysely as select count(*) as calls, 1 as one from calls');
  const db = new Kysely<Record<never, never>>({
    dialect: new PostgresDialect({ pool: database.pool }),
  });
  try {
    const found = await createDoctor({ sql: kyselyExecutor(db) }).examine();
    expect(found.map(({ defect, object }) => [defect, object])).toContainEqual([
      'unique-index-missing',
      'public.mv_kysely',
    ]);
  } finally {
    await drop('mv_kysely');
  }
});
