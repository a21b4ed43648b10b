import { count, createDoctor, createViews, defineRollup, defineView } from '@cachekit/pg-matviews';
import { expect, test } from 'vitest';
import { testDatabase } from '../database.ts';
import { findingsOf, mended } from './patient.ts';

const database = testDatabase(`
  create table calls (id bigint generated always as identity primary key, user_id integer not null, device text, seconds integer not null default 0, at timestamptz not null default now());
  insert into calls (user_id, device, seconds) select i % 7, 'd' || i % 3, i from generate_series(1, 100) i;
`);
const run = (sql: string) => database.pool.query(sql);

test('a database without a defect has no finding', async () => {
  const perUser = defineView({
    name: 'mv_fine',
    kind: 'materialized',
    query: 'select user_id, count(*) as total from calls group by user_id',
    indexes: [{ columns: ['user_id'], unique: true }],
    sources: { calls: {} },
  });
  const perDevice = defineRollup({
    name: 'fine_by_user',
    from: 'calls',
    key: { user_id: 'user_id' },
    measures: { total: count() },
  });
  await createViews({ sql: database.sql, views: [perUser, perDevice] }).apply();
  expect(await createDoctor({ sql: database.sql, views: [perUser, perDevice] }).examine()).toEqual([]);
  expect(await createDoctor({ sql: database.sql }).examine()).toEqual([]);
});

test('the doctor changes nothing and needs no definitions, no CacheKit and no role but the caller', () => {
  expect(() => createDoctor({} as never)).toThrow(/sql is an SqlExecutor/);
  expect(() => createDoctor({ sql: database.sql, fix: true } as never)).toThrow(/unknown option "fix"/);
});

test('not-populated: a view that was never filled', async () => {
  await run(
    'create materialized view mv_empty as select 1 as one with no data; create unique index on mv_empty (one)',
  );
  await expect(run('refresh materialized view concurrently mv_empty')).rejects.toMatchObject({
    code: '0A000',
  });
  expect((await mended(database, 'not-populated', 'mv_empty')).level).toBe('failure');
});

test('unique-index-missing: the key is that of GROUP BY, and CONCURRENTLY works afterwards (seed 000)', async () => {
  await run(`
    create materialized view mv_by_day as
      select user_id, date_trunc('day', at, 'UTC') as day, count(*) as total from calls group by 1, date_trunc('day', at, 'UTC');
    create index on mv_by_day (user_id, day desc)`);
  await expect(run('refresh materialized view concurrently mv_by_day')).rejects.toMatchObject({
    code: '55000',
  });
  const { mend } = await mended(database, 'unique-index-missing', 'mv_by_day');
  expect(mend).toEqual([
    'CREATE UNIQUE INDEX "mv_by_day_user_id_day_key" ON public.mv_by_day ("user_id", "day")',
  ]);
  await run('refresh materialized view concurrently mv_by_day');
});

test('unique-index-missing: without GROUP BY the key is what tells the rows apart', async () => {
  await run(`create materialized view mv_rows as select c.user_id, c.id as call_id from calls c`);
  expect((await mended(database, 'unique-index-missing', 'mv_rows')).mend[0]).toContain('("call_id")');
  await run('refresh materialized view concurrently mv_rows');
});

test('unique-index-missing: where no column tells rows apart, the reason says so', async () => {
  await run(`create materialized view mv_keyless as select 1 as one from calls`);
  const [found] = await findingsOf(database, 'unique-index-missing', 'mv_keyless');
  expect(found).toMatchObject({ mend: [], reason: expect.stringContaining('give the view a key') });
  await run('drop materialized view mv_keyless');
});

test.each([
  ['a partial one', 'create unique index on mv_unfit (user_id) where user_id > 0', 'has a WHERE'],
  ['one over an expression', 'create unique index on mv_unfit ((user_id + 0))', 'is over an expression'],
])('unique-index-unfit: %s does not serve CONCURRENTLY', async (_, index, why) => {
  await run(
    `create materialized view mv_unfit as select user_id, count(*) as n from calls group by user_id; ${index}`,
  );
  await expect(run('refresh materialized view concurrently mv_unfit')).rejects.toMatchObject({
    code: '55000',
  });
  expect((await mended(database, 'unique-index-unfit', 'mv_unfit')).reason).toContain(why);
  await run('refresh materialized view concurrently mv_unfit; drop materialized view mv_unfit');
});

test('a view that is refreshed plainly by its definition needs no unique index', async () => {
  const plain = defineView({
    name: 'mv_plain',
    kind: 'materialized',
    query: 'select user_id from calls',
    refresh: 'plain',
  });
  await createViews({ sql: database.sql, views: [plain] }).apply();
  expect(await findingsOf(database, 'unique-index-missing', 'mv_plain', { views: [plain] })).toEqual([]);
  expect(await findingsOf(database, 'unique-index-missing', 'mv_plain')).toHaveLength(1);
  await run(
    "create unique index on mv_fine (total, user_id); drop materialized view mv_plain; delete from cachekit.view where name = 'mv_plain'",
  );
});

test('null-key: rows that every concurrent refresh writes anew, NULLS NOT DISTINCT or not', async () => {
  await run(`
    insert into calls (user_id, device) values (1, null);
    create materialized view mv_null as select device, count(*) as n from calls group by device;
    create unique index mv_null_key on mv_null (device) nulls not distinct;
    create view v_above as select sum(n) as n from mv_null; comment on materialized view mv_null is 'kept'`);
  const moved = async () => {
    const before = await database.rows<{ ctid: string }>('select ctid::text from mv_null order by 1');
    await run('refresh materialized view concurrently mv_null');
    const after = new Set(
      (await database.rows<{ ctid: string }>('select ctid::text from mv_null')).map((r) => r.ctid),
    );
    return before.filter(({ ctid }) => !after.has(ctid)).length;
  };
  expect(await moved()).toBe(1);
  const { reason } = await mended(database, 'null-key', 'mv_null');
  expect(reason).toContain('device is NULL');
  expect(await moved()).toBe(0);
  expect(await database.one('select n::int from v_above')).toBe(101);
  expect(await database.one(`select obj_description('mv_null'::regclass)`)).toBe('kept');
  expect(await database.one(`select n::int from mv_null where device = '(none)'`)).toBe(1);
});

test('index-invalid: what a failed CREATE INDEX CONCURRENTLY leaves', async () => {
  await run(`create table twice (a integer); insert into twice values (1), (1)`);
  await expect(run('create unique index concurrently twice_key on twice (a)')).rejects.toMatchObject({
    code: '23505',
  });
  await run('delete from twice');
  expect((await mended(database, 'index-invalid', 'twice_key')).mend).toEqual([
    'REINDEX INDEX CONCURRENTLY public.twice_key',
  ]);
});

test('refresh-by-trigger: once per row, in the transaction of the writer (seed 000)', async () => {
  await run(`
    create materialized view mv_hot as select user_id, count(*) as n from calls group by user_id;
    create unique index on mv_hot (user_id);
    create function refresh_hot() returns trigger language plpgsql as $$ begin refresh materialized view public.mv_hot; return null; end $$;
    create trigger hot after insert on calls for each row execute function refresh_hot()`);
  const found = await mended(database, 'refresh-by-trigger', 'hot on public.calls');
  expect(found.reason).toContain('once per row');
  await run('drop function refresh_hot cascade');
});

test('notify-per-row: a NOTIFY with a payload for each row (seed 004)', async () => {
  await run(`
    create function tell() returns trigger language plpgsql as $$ begin perform pg_notify('calls', row_to_json(new)::text); return coalesce(new, old); end $$;
    create trigger tell after insert on calls for each row execute function tell()`);
  await mended(database, 'notify-per-row', 'tell on public.calls');
  await run('drop function tell cascade');
});

test('timeout-in-function: the timeout of a function bounds nothing', async () => {
  await run(
    `create function slow_refresh() returns void language plpgsql set statement_timeout = '50ms' as $$ begin perform pg_sleep(0.2); end $$`,
  );
  await run('select slow_refresh()');
  await mended(database, 'timeout-in-function', 'slow_refresh()');
});

test('function-search-path: a view uses a function that names things without their schema', async () => {
  await run(`
    create function devices_of(who integer) returns bigint language sql stable as 'select count(distinct device) from calls where user_id = who';
    create function harmless(who integer) returns integer language sql immutable as 'select who + 1';
    create materialized view mv_functions as select user_id, devices_of(user_id), harmless(user_id) from calls group by user_id with no data;
    create unique index on mv_functions (user_id)`);
  const refresh = `set search_path = ''; refresh materialized view public.mv_functions`;
  const session = await database.client();
  await expect(session.query(refresh)).rejects.toMatchObject({ code: '42P01' });
  expect(await findingsOf(database, 'function-search-path', 'harmless')).toEqual([]);
  await mended(database, 'function-search-path', 'devices_of(integer)');
  await session.query(refresh);
});

test('autovacuum-off: nobody cleans the view', async () => {
  await run('alter materialized view mv_fine set (autovacuum_enabled = off)');
  await mended(database, 'autovacuum-off', 'mv_fine');
});

test('bloat: concurrent refreshes leave more space than rows', async () => {
  await run(`
    create materialized view mv_big as select i as id, clock_timestamp() as at, repeat('x', 100) as text from generate_series(1, 20000) i;
    create unique index on mv_big (id);
    alter materialized view mv_big set (autovacuum_enabled = off)`);
  expect(await findingsOf(database, 'bloat', 'mv_big')).toEqual([]);
  for (let i = 0; i < 4; i++) await run('refresh materialized view concurrently mv_big');
  await mended(database, 'bloat', 'mv_big');
  await run('drop materialized view mv_big');
});

test('long-transaction: whoever keeps VACUUM from cleaning is named', async () => {
  const idle = await database.client();
  const { rows } = await idle
    .query('begin isolation level repeatable read; select pg_backend_pid() as pid')
    .then((r) => (r as never as { rows: { pid: number }[] }[])[1] ?? { rows: [] });
  const session = `session ${rows[0]?.pid}`;
  expect(await findingsOf(database, 'long-transaction', session)).toEqual([]);
  await expect
    .poll(async () => (await findingsOf(database, 'long-transaction', session, { patience: 1 })).length)
    .toBe(1);
  await mended(database, 'long-transaction', session, { patience: 1 });
});

test('inactive-slot: the server keeps its log for a consumer that does not come', async () => {
  const slot = `forgotten_${process.pid}`;
  await run(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
  expect(await findingsOf(database, 'inactive-slot', slot)).toEqual([]);
  await run(
    `select count(pg_logical_emit_message(false, 'doctor', repeat('x', 1000000))) from generate_series(1, 70)`,
  );
  // The server writes its log a little behind.
  await expect
    .poll(async () => (await findingsOf(database, 'inactive-slot', slot)).length, { timeout: 20_000 })
    .toBe(1);
  await mended(database, 'inactive-slot', slot);
});
