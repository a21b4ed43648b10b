import { FakeClock } from '@cachekit/core/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  avg,
  bucket,
  count,
  countDistinct,
  createRefresher,
  createViews,
  defineRollup,
  defineView,
  max,
  type RefreshedEvent,
  type Refresher,
  type RefresherOptions,
  sum,
  type ViewDefinition,
} from '../../src/index.ts';
import { testDatabase } from './database.ts';

const zone = 'America/Sao_Paulo';
const database = testDatabase(`
  create table users (id int primary key, team text not null);
  insert into users select g, 'team ' || g % 3 from generate_series(1, 40) g;
  create table calls (id int generated always as identity primary key, user_id int, device_id int,
    status text not null default 'answered', start_time timestamptz not null default now(), duration int, note text);
  create index on calls (user_id, start_time);
`);

const perDay = defineRollup({
  name: 'per_day',
  from: 'calls',
  key: { user_id: 'user_id', date: bucket('start_time', 'day', { timeZone: zone }) },
  measures: {
    total: count().as('integer'),
    answered: count().where(`status = 'answered'`).as('integer'),
    seconds: sum('duration'),
    timed: count('duration').as('integer'),
    mean: avg('duration').as('numeric(12,2)'),
    devices: countDistinct('device_id').as('integer'),
    last_at: max('start_time'),
  },
  derived: { answer_rate: { type: 'numeric(5,2)', sql: '100.0 * answered / total' } },
  tenant: 'user_id',
});
const windowed = defineRollup({
  name: 'windowed',
  from: 'calls',
  key: { user_id: 'user_id', date: bucket('start_time', 'day', { timeZone: zone }) },
  window: { key: 'date', buckets: 30 },
  measures: { total: count().as('integer') },
});
const perTeam = defineRollup({
  name: 'per_team',
  from: 'calls',
  key: { user_id: 'user_id', week: bucket('start_time', 'week', { timeZone: 'UTC' }) },
  query: ({ scope }) => `
    select c.user_id, date_trunc('week', c.start_time at time zone 'UTC')::date as week,
      min(u.team) as team, count(*)::int as total
    from ${scope('calls')} c join users u on u.id = c.user_id group by 1, 2`,
  dimensions: { users: { key: { user_id: 'id' } } },
});
const perUser = defineView({
  name: 'per_user',
  kind: 'view',
  query: `select u.id as user_id, coalesce(sum(p.total), 0)::int as total from users u left join per_day p on p.user_id = u.id group by u.id`,
  tenant: 'user_id',
});
const stored = defineView({
  name: 'stored',
  kind: 'materialized',
  query: 'select sum(total)::int as total from per_user',
});
const all: readonly ViewDefinition[] = [stored, perUser, perDay, windowed, perTeam];

const raw = `select user_id, (start_time at time zone '${zone}')::date as date, count(*)::int as total,
  (count(*) filter (where status = 'answered'))::int as answered, sum(duration) as seconds, count(duration)::int as timed,
  round(avg(duration), 2)::numeric(12,2) as mean, count(distinct device_id)::int as devices, max(start_time) as last_at,
  (100.0 * count(*) filter (where status = 'answered') / count(*))::numeric(5,2) as answer_rate
  from calls where user_id is not null group by 1, 2`;
const rawTeams = `select c.user_id, date_trunc('week', c.start_time at time zone 'UTC')::date as week, min(u.team) as team,
  count(*)::int as total from calls c join users u on u.id = c.user_id group by 1, 2`;

const started: Refresher[] = [];
function refresher(options: Partial<RefresherOptions> = {}): Refresher & { readonly done: RefreshedEvent[] } {
  const done: RefreshedEvent[] = [];
  const made = createRefresher({ sql: database.sql, views: all, debounce: 20, maxWait: 500, ...options });
  made.on('refreshed', (event) => done.push(event));
  started.push(made);
  return Object.assign(made, { done });
}
/** Rows that are in one and not in the other. */
const difference = (a: string, b: string): Promise<unknown[]> =>
  database.rows(`((${a}) except all (${b})) union all ((${b}) except all (${a}))`);
const outbox = (source: string): Promise<{ tenant: string | null; key: object }[]> =>
  database.rows('select tenant, key from cachekit.view_change where source = $1 order by seq', [source]);
const call = (user: number | null, at: string, duration: number | null = null): Promise<unknown> =>
  database.pool.query('insert into calls (user_id, start_time, duration) values ($1, $2, $3)', [
    user,
    at,
    duration,
  ]);
async function settle(): Promise<void> {
  const quiet = createRefresher({ sql: database.sql, views: all });
  for (const { name } of [perDay, windowed, perTeam, stored]) await quiet.waitFresh(name);
  await database.pool.query('delete from cachekit.view_change');
}

beforeAll(async () => {
  await database.pool.query(`insert into calls (user_id, device_id, status, start_time, duration)
    select 1 + g % 40, g % 7, (array['answered', 'failed'])[1 + g % 2], now() - g * interval '37 minutes', case when g % 3 > 0 then g % 300 end
    from generate_series(1, 4000) g`);
  await createViews({ sql: database.sql, views: all }).apply();
  await settle();
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((one) => one.stop()));
  await settle();
});
afterAll(() => Promise.all(started.map((one) => one.stop())));

describe('a rollup', () => {
  it('shows what its query gives, and the exact view too (PBX-1)', async () => {
    expect(await difference('select * from per_day', raw)).toEqual([]);
    expect(await difference('select * from per_day_live', raw)).toEqual([]);
    expect(await difference('select * from per_team', rawTeams)).toEqual([]);
  });

  it('computes only the affected user and day again, and tells exactly those (PBX-4)', async () => {
    const keeper = refresher();
    await call(3, '2026-03-05T12:00:00Z', 60);
    await call(null, '2026-03-05T12:00:00Z', 60);
    expect(await difference('select * from per_day_live', raw)).toEqual([]);
    expect(await difference('select * from per_day', raw)).not.toEqual([]);
    await keeper.waitFresh('per_day');
    expect(await difference('select * from per_day', raw)).toEqual([]);
    expect(await outbox('per_day')).toEqual([{ tenant: '3', key: { user_id: 3, date: '2026-03-05' } }]);
    expect(keeper.done).toMatchObject([
      {
        view: 'per_day',
        mode: 'partial',
        marks: 1,
        changes: [{ tenant: '3', key: { user_id: 3, date: '2026-03-05' } }],
      },
    ]);
  });

  it('follows a row from one key to another, and drops a group that is empty', async () => {
    await call(5, '2026-01-02T12:00:00Z');
    const keeper = refresher();
    await keeper.waitFresh('per_day');
    await database.pool.query('delete from cachekit.view_change');
    await database.pool.query(
      `update calls set user_id = 6 where user_id = 5 and start_time = '2026-01-02T12:00:00Z'`,
    );
    expect(await difference('select * from per_day_live', raw)).toEqual([]);
    await keeper.waitFresh('per_day');
    expect(await difference('select * from per_day', raw)).toEqual([]);
    expect((await outbox('per_day')).map(({ tenant }) => tenant).sort()).toEqual(['5', '6']);
  });

  it('is not marked by an update of a column it does not read, and tells nothing if the groups stay the same', async () => {
    const keeper = refresher();
    await database.pool.query(`update calls set note = 'x' where user_id = 3`);
    await keeper.waitFresh('per_day');
    expect(keeper.done).toEqual([]);
    await database.pool.query(`update calls set status = 'answered' where user_id = 3;`);
    await database.pool.query(
      `insert into calls (user_id, start_time) values (9, '2020-01-01'); delete from calls where start_time = '2020-01-01'`,
    );
    await keeper.waitFresh('per_day');
    expect(await difference('select * from per_day', raw)).toEqual([]);
    expect((await outbox('per_day')).some(({ tenant }) => tenant === '9')).toBe(false);
  });

  it('is recomputed as a whole above a fifth of the groups, after TRUNCATE and by refresh(), and tells only what differs', async () => {
    const keeper = refresher();
    await database.pool.query('update calls set duration = coalesce(duration, 0) + 1 where id % 2 = 0');
    await keeper.waitFresh('per_day');
    expect(keeper.done.at(-1)).toMatchObject({ mode: 'whole' });
    expect(await difference('select * from per_day', raw)).toEqual([]);
    await database.pool.query('delete from cachekit.view_change');
    await keeper.refresh('per_day');
    expect(keeper.done.at(-1)).toMatchObject({ mode: 'whole', changes: [] });
    expect(await outbox('per_day')).toEqual([]);
    await database.pool.query(
      'begin; create temporary table kept as select * from calls; truncate calls; insert into calls overriding system value select * from kept; commit',
    );
    expect(await difference('select * from per_day_live', raw)).toEqual([]);
    await keeper.waitFresh('per_day');
    expect(await difference('select * from per_day', raw)).toEqual([]);
  });

  it('follows a change of a dimension by the part of the key that it knows', async () => {
    const keeper = refresher();
    await database.pool.query(`update users set team = 'renamed' where id = 7`);
    expect(await difference('select * from per_team_live', rawTeams)).toEqual([]);
    await call(7, '2026-05-05T12:00:00Z');
    expect(await difference('select * from per_team_live', rawTeams)).toEqual([]);
    await keeper.waitFresh('per_team');
    expect(await difference('select * from per_team', rawTeams)).toEqual([]);
    expect((await outbox('per_team')).every(({ key }) => (key as { user_id: number }).user_id === 7)).toBe(
      true,
    );
    expect(keeper.done).toMatchObject([{ mode: 'partial' }]);
  });

  it('shows a window of whole buckets by the clock of its zone, whenever it was refreshed (PBX-1)', async () => {
    const cut = `(now() at time zone '${zone}')::date - 29`;
    const expected = `select user_id, date, total from (${raw}) r where date >= ${cut}`;
    expect(await difference('select * from windowed', expected)).toEqual([]);
    await call(3, '2020-03-05T12:00:00Z', 60);
    await refresher().waitFresh('windowed');
    expect(await difference('select * from windowed', expected)).toEqual([]);
    expect(await difference('select * from windowed_live', expected)).toEqual([]);
    expect(
      await database.one('select count(*)::int from cachekit.windowed__v1 where date < $1', ['2021-01-01']),
    ).toBe(0);
  });

  it('tells the views above it, and marks those that are stored', async () => {
    const keeper = refresher();
    await call(11, '2026-02-02T12:00:00Z');
    await keeper.waitFresh('stored');
    expect(await database.one('select total from stored')).toBe(
      await database.one('select count(*)::int from calls where user_id is not null'),
    );
    expect(await outbox('per_user')).toEqual([{ tenant: '11', key: {} }]);
  });

  it('makes a plain view over it wait for what it is computed from', async () => {
    await call(12, '2026-02-03T12:00:00Z');
    await refresher().waitFresh('per_user');
    expect(
      await difference(
        'select user_id, total from per_user where user_id = 12',
        `select user_id, count(*)::int from calls where user_id = 12 group by 1`,
      ),
    ).toEqual([]);
  });

  it('is refreshed for one key alone on demand (PBX-4)', async () => {
    const keeper = refresher();
    await database.pool.query(
      `set session_replication_role = replica; update calls set duration = 7 where user_id in (2, 4); set session_replication_role = origin`,
    );
    await keeper.refresh('per_day', { where: { user_id: 2 } });
    expect(
      await difference(
        'select * from per_day where user_id = 2',
        `select * from (${raw}) r where user_id = 2`,
      ),
    ).toEqual([]);
    expect(
      await difference(
        'select * from per_day where user_id = 4',
        `select * from (${raw}) r where user_id = 4`,
      ),
    ).not.toEqual([]);
    expect((await outbox('per_day')).every(({ tenant }) => tenant === '2')).toBe(true);
    await expect(keeper.refresh('per_day', { where: { nobody: 1 } })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('looks up the groups of that key only, those that came and those that went, and no other', async () => {
    const keeper = refresher();
    const modes: unknown[] = [];
    keeper.on('refreshed', ({ mode, marks }) => modes.push([mode, marks]));
    await keeper.waitFresh('per_day');
    await database.pool.query(`set session_replication_role = replica;
      delete from calls where user_id = 4; set session_replication_role = origin`);
    const gone = await database.one<number>('select count(*)::int from per_day where user_id = 4');
    expect(gone).toBeGreaterThan(0);
    modes.length = 0;
    await keeper.refresh('per_day', { where: { user_id: 4 } });
    expect(modes).toEqual([['partial', gone]]);
    expect(await database.one('select count(*)::int from per_day where user_id = 4')).toBe(0);
    // A value that stands for nobody, and one that is no SQL.
    await keeper.refresh('per_day', { where: { user_id: 987654 } });
    await expect(keeper.refresh('per_day', { where: { user_id: "1' or true --" } })).rejects.toMatchObject({
      code: '22P02',
    });
  });

  it('is proved and healed by reconcile()', async () => {
    const keeper = refresher();
    await keeper.reconcile('per_day');
    await database.pool.query(
      `set session_replication_role = replica; delete from calls where user_id = 8; set session_replication_role = origin`,
    );
    const wrong = await database.one<number>('select count(*)::int from per_day where user_id = 8');
    expect(wrong).toBeGreaterThan(0);
    expect(await keeper.reconcile('per_day')).toMatchObject({ healed: wrong });
    expect(await difference('select * from per_day', raw)).toEqual([]);
    expect(await keeper.reconcile('per_day')).toMatchObject({ healed: 0 });
    await keeper.reconcile('per_team');
    await keeper.reconcile('windowed');
  });

  it('is marked in one row of the log by a statement about many groups, and each of them counts', async () => {
    const keeper = refresher();
    const log = await database.one<string>(
      `select rollup#>>'{program,log}' from cachekit.view where name = 'per_day'`,
    );
    const many = `timestamptz '2026-02-10 12:00Z' + g % 3 * interval '1 day' from generate_series(1, 60) g`;
    await database.pool.query(`insert into calls (user_id, start_time) select 1 + g % 5, ${many}`);
    expect(await database.one(`select count(*)::int from ${log}`)).toBe(1);
    const marked = async (): Promise<unknown> =>
      (await keeper.status()).find(({ view }) => view === 'per_day');
    expect(await marked()).toMatchObject({ marks: 15, dirtyGroups: 15 });
    await call(1, '2026-02-10T12:00:00Z');
    await database.pool.query(`update calls set duration = 7 where user_id in (2, 3)`);
    await database.pool.query(`delete from calls where user_id = 4`);
    expect(await difference('select * from per_day_live', raw)).toEqual([]);
    expect(
      await difference(
        'select * from per_day_live where user_id = 4',
        `select * from (${raw}) r where user_id = 4`,
      ),
    ).toEqual([]);
    expect(await database.one(`select cachekit.reconcile_rollup('per_day')->'healed'`)).toBe(0);
    await keeper.waitFresh('per_day');
    expect(await difference('select * from per_day', raw)).toEqual([]);
    expect(await marked()).toMatchObject({ marks: 0, dirtyGroups: 0 });
  });

  it('has keys of any type in the marks of many rows, each as it was', async () => {
    await database.pool.query(
      `create table events (kind varchar(40), who uuid, ok boolean, price numeric, at timestamptz not null)`,
    );
    const grouped = (name: string, of: 'ok' | 'price') =>
      defineRollup({
        name,
        from: 'events',
        key: { kind: 'kind', who: 'who', of, hour: bucket('at', 'hour', { timeZone: zone }) },
        measures: { total: count().as('integer') },
      });
    // Booleans are put into one row of the log, numbers of any size are not.
    const views = [grouped('per_ok', 'ok'), grouped('per_price', 'price')];
    await createViews({ sql: database.sql, views: [...all, ...views] }).apply();
    const keeper = createRefresher({ sql: database.sql, views });
    for (const { name } of views) await keeper.waitFresh(name);
    await database.pool.query(`insert into events
      select k, gen_random_uuid(), k > 'a', length(k) + 0.10, now() - g * interval '1 hour'
      from unnest(array['', 'NULL', null, 'a,b', '"', '{x}', E'\\\\', 'é ']) k cross join generate_series(1, 3) g`);
    expect(await database.one('select count(*)::int from cachekit.per_ok__m1')).toBe(1);
    expect(await database.one('select count(*)::int from cachekit.per_price__m1')).toBe(21);
    for (const [name, of] of [
      ['per_ok', 'ok'],
      ['per_price', 'price'],
    ] as const) {
      const rows = `select kind, who, ${of} as of, date_trunc('hour', at, '${zone}') as hour, count(*)::int as total
        from events where kind is not null group by 1, 2, 3, 4`;
      expect(await difference(`select * from ${name}_live`, rows)).toEqual([]);
      await keeper.waitFresh(name);
      expect(await difference(`select * from ${name}`, rows)).toEqual([]);
      expect(await database.one(`select count(*)::int from ${name}`)).toBe(21);
    }
    await createViews({ sql: database.sql, views: all }).apply({ prune: true });
  });

  it('counts a mark of part of a key beside marks of whole ones, of one row and of many', async () => {
    const log = await database.one<string>(
      `select rollup#>>'{program,log}' from cachekit.view where name = 'per_day'`,
    );
    await database.pool.query(
      `insert into calls (user_id, start_time) select 1 + g % 5, timestamptz '2026-02-11 12:00Z' from generate_series(1, 20) g`,
    );
    await call(2, '2026-02-12T12:00:00Z');
    // All of user 3, as a table of users would mark it.
    await database.pool.query(`insert into ${log} (view, source, k0, wild) values ('per_day', 'test', 3, 2)`);
    expect(await difference('select * from per_day_live', raw)).toEqual([]);
    for (const user of [2, 3])
      expect(
        await difference(
          `select * from per_day_live where user_id = ${user}`,
          `select * from (${raw}) r where user_id = ${user}`,
        ),
      ).toEqual([]);
    await refresher().waitFresh('per_day');
    expect(await difference('select * from per_day', raw)).toEqual([]);
  });

  it('is planned without what a rare mark would cost: the server compiles nothing for that', async () => {
    await database.pool.query('analyze calls');
    const plan = await database.rows('explain select * from per_day_live');
    const rows = /on calls t_1 +\(cost=[\d.]+ rows=(\d+) /.exec(JSON.stringify(plan).replace(/ {2,}/g, ' '));
    expect(Number(rows?.[1])).toBeLessThan(100);
  });

  it('is read without a process for the rare branch, which is not taken', async () => {
    const client = await database.client();
    await client.query('begin');
    for (const cheap of ['parallel_setup_cost', 'parallel_tuple_cost', 'min_parallel_table_scan_size'])
      await client.query(`set local ${cheap} = 0`);
    const { rows } = await client.query(
      'explain (analyze, costs off, timing off, summary off) select date, sum(total) from per_day_live group by 1',
    );
    await client.query('rollback');
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    expect(plan).toMatch(/Gather.* \(never executed\)/);
  });

  it('is refreshed without a process beside that of the session: starting one takes longer', async () => {
    const [found] = await database.rows<{ load: string; settings: string[] }>(
      `select v.rollup#>>'{program,load}' as load, p.proconfig as settings from cachekit.view v
       join pg_proc p on p.oid = to_regprocedure(v.rollup#>>'{program,run}' || '(text)') where v.name = 'per_day'`,
    );
    const client = await database.client();
    await client.query('begin');
    for (const setting of found?.settings ?? []) {
      const [name, ...value] = setting.split('=');
      await client.query('select set_config($1, $2, true)', [name, value.join('=')]);
    }
    const { rows } = await client.query(`explain ${found?.load}`);
    await client.query('rollback');
    expect(JSON.stringify(rows)).toContain('__m');
    expect(JSON.stringify(rows)).not.toContain('Gather');
  });

  it('says how stale it is and where to read instead', async () => {
    const keeper = refresher();
    expect(await keeper.relation('per_day', { maxStaleness: 0 })).toBe('"public"."per_day"');
    await call(13, '2026-02-04T12:00:00Z');
    await call(13, '2026-02-04T13:00:00Z');
    expect(await keeper.relation('per_day', { maxStaleness: 0 })).toBe('"public"."per_day_live"');
    expect(await keeper.relation('per_day', { maxStaleness: '1h' })).toBe('"public"."per_day"');
    const [status] = (await keeper.status()).filter(({ view }) => view === 'per_day');
    expect(status).toMatchObject({ marks: 2, dirtyGroups: 1, failures: 0 });
    expect(status?.dirtySince).toBeGreaterThan(0);
  });

  it('refuses to be refreshed in a transaction that keeps its snapshot', async () => {
    const client = await database.client();
    await client.query('begin isolation level repeatable read');
    await expect(client.query(`select cachekit.refresh_rollup('per_day')`)).rejects.toMatchObject({
      code: '25001',
    });
    await client.query('rollback');
  });

  it('reads the changed groups by key and range of time, not the table (field of a million rows)', async () => {
    await database.pool.query('analyze calls');
    const program = await database.one<string>(
      `select rollup->'program'->>'exact' from cachekit.view where name = 'per_day'`,
    );
    await call(3, '2026-03-06T12:00:00Z', 60);
    const plan = JSON.stringify(await database.rows(`explain (format json) ${program}`));
    expect(plan).toContain('calls_user_id_start_time_idx');
  });

  it('that is applied while somebody writes holds what they commit later (bootstrap)', async () => {
    const late = defineRollup({
      name: 'late',
      from: 'calls',
      key: { user_id: 'user_id' },
      measures: { total: count().as('integer') },
    });
    const writer = await database.client();
    await writer.query('begin');
    await writer.query(`insert into calls (user_id, start_time) values (21, '2026-01-07T12:00:00Z')`);
    const views = [...all, late];
    const applied = createViews({ sql: database.sql, views, lock: { timeout: 50, wait: '20s' } }).apply();
    const refused = await Promise.race([
      applied.then(() => 'applied'),
      new Promise((resolve) => setTimeout(resolve, 300, 'waits')),
    ]);
    expect(refused).toBe('waits');
    await writer.query('commit');
    await applied;
    const keeper = createRefresher({ sql: database.sql, views });
    await keeper.waitFresh('late');
    expect(
      await difference(
        'select * from late',
        'select user_id, count(*)::int as total from calls where user_id is not null group by 1',
      ),
    ).toEqual([]);
    await createViews({ sql: database.sql, views: all }).apply({ prune: true });
    expect(await database.one(`select count(*)::int from pg_class where relname like 'late%'`)).toBe(0);
  });

  it('is replaced by the next version aside, with rights, comments and views above it', async () => {
    await database.pool.query(`create role analyst; grant select on per_day, per_day_live to analyst;
      comment on view per_day is 'kept'; create view above_live as select user_id, total from per_day_live`);
    const changed = defineRollup({
      name: 'per_day',
      from: 'calls',
      key: { user_id: 'user_id', date: bucket('start_time', 'day', { timeZone: zone }) },
      measures: { total: count().as('integer'), failed: count().where(`status = 'failed'`).as('integer') },
      tenant: 'user_id',
    });
    const views = [stored, perUser, changed, windowed, perTeam];
    const planned = await createViews({ sql: database.sql, views }).plan();
    expect(
      planned
        .filter(({ action }) => action === 'replace')
        .map(({ view }) => view)
        .sort(),
    ).toEqual(['per_day', 'per_user', 'stored']);
    await createViews({ sql: database.sql, views }).apply();
    expect(await createViews({ sql: database.sql, views }).check()).toEqual([]);
    expect(
      new Set((await createViews({ sql: database.sql, views }).plan()).map(({ action }) => action)),
    ).toEqual(new Set(['unchanged']));
    expect(
      await database.one(
        `select has_table_privilege('analyst', 'per_day_live', 'select') and has_table_privilege('analyst', 'per_day', 'select')`,
      ),
    ).toBe(true);
    expect(await database.one(`select obj_description('per_day'::regclass)`)).toBe('kept');
    expect(
      await database.one(
        `select count(*)::int from pg_class where relname in ('per_day__v1', 'per_day__m1')`,
      ),
    ).toBe(0);
    await call(3, '2026-03-09T12:00:00Z');
    expect(await database.one('select sum(total)::int from above_live')).toBe(
      await database.one('select count(*)::int from calls where user_id is not null'),
    );
    await database.pool.query('drop view above_live');
    await createViews({ sql: database.sql, views: all }).apply();
    await database.pool.query('drop owned by analyst; drop role analyst');
    expect(await difference('select * from per_day_live', raw)).toEqual([]);
  });

  it('that was changed by hand is found, and put back when asked', async () => {
    await database.pool.query('create or replace view windowed_live as select * from windowed');
    expect(await createViews({ sql: database.sql, views: all }).check()).toEqual([
      { view: 'windowed', what: 'definition' },
    ]);
    await expect(createViews({ sql: database.sql, views: all }).apply()).rejects.toMatchObject({
      code: 'VIEW_DRIFT',
    });
    await createViews({ sql: database.sql, views: all }).apply({ drift: 'replace' });
    expect(await createViews({ sql: database.sql, views: all }).check()).toEqual([]);
    const text = await createViews({
      sql: database.sql,
      views: [
        defineRollup({
          name: 'other',
          from: 'calls',
          key: { device_id: 'device_id' },
          measures: { total: count() },
        }),
      ],
    }).script();
    await database.pool.query(text);
    expect(
      await difference(
        'select * from other',
        'select device_id, count(*) as total from calls where device_id is not null group by 1',
      ),
    ).toEqual([]);
    await createViews({ sql: database.sql, views: all }).apply({ prune: true });
  });

  it('is refused over another rollup, with what to do, before anything is changed', async () => {
    const perMonth = defineRollup({
      name: 'per_month',
      from: 'per_day',
      key: { user_id: 'user_id' },
      measures: { total: sum('total') },
    });
    expect(() => createViews({ sql: database.sql, views: [...all, perMonth] })).toThrow(
      'Rollup "per_month": "per_day" is a view; give its tables, or sum "per_day" up in a plain view',
    );
    // Also where the rollup is of another catalog.
    const views = createViews({ sql: database.sql, views: [perMonth] });
    await expect(views.apply()).rejects.toThrow(
      'Source "per_day": only a table can mark views, and none with foreign parts; name the tables that it reads',
    );
  });

  it('is complete after apply(), also after its triggers were gone', async () => {
    const again = defineRollup({
      name: 'again',
      from: 'calls',
      key: { user_id: 'user_id' },
      measures: { total: count().as('integer') },
    });
    const views = [...all, again];
    const truth = 'select user_id, count(*)::int as total from calls where user_id is not null group by 1';
    await createViews({ sql: database.sql, views }).apply();
    expect(await difference('select * from again_live', truth)).toEqual([]);
    await database.pool.query('drop trigger cachekit_mark_insert on calls');
    await call(22, '2026-01-08T12:00:00Z');
    expect(await createViews({ sql: database.sql, views }).check()).toContainEqual({
      view: 'again',
      what: 'trigger',
      object: 'public.calls',
    });
    await createViews({ sql: database.sql, views }).apply();
    expect(await difference('select * from again_live', truth)).toEqual([]);
    await createRefresher({ sql: database.sql, views }).waitFresh('again');
    expect(await difference('select * from again', truth)).toEqual([]);
    await createViews({ sql: database.sql, views: all }).apply({ prune: true });
  });

  it('is refreshed at once by the first change after a rest, and by waitFresh and afterSync (PBX-4)', async () => {
    const keeper = refresher({ debounce: '10s', maxWait: '20s' });
    await keeper.start();
    await call(14, '2026-02-05T12:00:00Z');
    await expect.poll(() => difference('select * from per_day', raw), { timeout: 8_000 }).toEqual([]);
    await call(14, '2026-02-06T12:00:00Z');
    expect((await keeper.afterSync(['calls'])).map(({ view }) => view).sort()).toEqual([
      'per_day',
      'per_team',
      'windowed',
    ]);
    expect(await difference('select * from per_day', raw)).toEqual([]);
    await expect(keeper.afterSync(['nothing'])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('is refreshed as a whole by its schedule, by one of two processes (PBX-4)', async () => {
    const clock = new FakeClock(Date.now());
    const schedule = { per_day: { cron: '* * * * *', timeZone: 'UTC' } };
    const two = [refresher({ clock, schedule }), refresher({ clock, schedule })];
    await Promise.all(two.map((one) => one.start()));
    await database.pool.query(
      'set session_replication_role = replica; delete from calls where user_id = 15; set session_replication_role = origin',
    );
    await expect
      .poll(
        async () => {
          await clock.advance(60_000);
          return two.flatMap(({ done }) => done.filter(({ view }) => view === 'per_day')).length;
        },
        { timeout: 20_000 },
      )
      .toBeGreaterThan(0);
    await Promise.all(two.map((one) => one.stop()));
    const runs = two.flatMap(({ done }) => done.filter(({ view }) => view === 'per_day'));
    expect(new Set(runs.map(({ mode }) => mode))).toEqual(new Set(['whole']));
    expect(await difference('select * from per_day', raw)).toEqual([]);
  });

  it('may have columns called as what its refresh uses', async () => {
    const odd = defineRollup({
      name: 'odd',
      from: 'calls',
      key: { found: 'user_id', dirty: 'device_id' },
      measures: { marks: count().as('integer'), wild: sum('duration').as('integer'), l: count('duration') },
    });
    await createViews({ sql: database.sql, views: [...all, odd] }).apply();
    const keeper = createRefresher({ sql: database.sql, views: [odd] });
    for (const user of [7, 8]) {
      await database.pool.query(`insert into calls (user_id, device_id, duration) values ($1, 70, 5)`, [
        user,
      ]);
      expect(
        await database.rows('select marks, wild from odd_live where found = $1 and dirty = 70', [user]),
      ).toEqual([{ marks: 1, wild: 5 }]);
      await keeper.waitFresh('odd');
      expect(
        await database.rows('select marks, wild from odd where found = $1 and dirty = 70', [user]),
      ).toEqual([{ marks: 1, wild: 5 }]);
    }
    await database.pool.query('delete from calls where device_id = 70');
    await createViews({ sql: database.sql, views: all }).apply({ prune: true });
  });

  it('looks changed groups up by their key, also in a session that refreshed it when it was empty', async () => {
    await database.pool.query('create table visits (page int not null); create index on visits (page)');
    const grown = defineRollup({
      name: 'grown',
      from: 'visits',
      key: { page: 'page' },
      measures: { total: count() },
    });
    await createViews({ sql: database.sql, views: [...all, grown] }).apply();
    const client = await database.client();
    // What this session did and has not reported: others report what they did before whenever they come to it.
    const counted = async (): Promise<number> => {
      const { rows } = await client.query(
        `select (seq_tup_read + idx_tup_fetch)::int as rows from pg_stat_xact_user_tables where relname = 'grown__v1'`,
      );
      return rows[0]?.rows ?? 0;
    };
    const read = async (first: number, last: number): Promise<number> => {
      await client.query('insert into visits select g from generate_series($1::int, $2::int) g', [
        first,
        last,
      ]);
      await client.query('begin');
      const before = await counted();
      await client.query(`select cachekit.refresh('grown')`);
      const after = await counted();
      await client.query('commit');
      return after - before;
    };
    await read(1, 3);
    // What changes nearly all of them goes through the table, so that is counted.
    expect(await read(4, 5_000)).toBeGreaterThan(0);
    // One statement marks 21 groups, and 11 of them are there.
    expect(await read(4_990, 5_010)).toBe(11);
    expect(await database.one('select count(*)::int from grown where total = 2')).toBe(11);
    await client.query('insert into visits values (7)');
    expect(await read(1, 1)).toBe(2);
    await createViews({ sql: database.sql, views: all }).apply({ prune: true });
  });

  it('becomes another kind and comes back', async () => {
    const name = 'changing';
    const one = defineRollup({
      name,
      from: 'calls',
      key: { device_id: 'device_id' },
      measures: { total: count().as('integer') },
    });
    const other = defineView({
      name,
      kind: 'materialized',
      query: 'select device_id, count(*)::int as total from calls group by 1',
      sources: { calls: {} },
    });
    const relations = (): Promise<{ relname: string }[]> =>
      database.rows(
        `select relname from pg_class where relname like 'changing%' and relkind <> 'i' order by 1`,
      );
    await createViews({ sql: database.sql, views: [...all, one] }).apply();
    await createViews({ sql: database.sql, views: [...all, other] }).apply();
    expect((await relations()).map(({ relname }) => relname)).toEqual(['changing']);
    await createViews({ sql: database.sql, views: [...all, one] }).apply();
    expect(await relations()).toHaveLength(4);
    expect(
      await difference(
        'select * from changing_live',
        'select device_id, count(*)::int as total from calls where device_id is not null group by 1',
      ),
    ).toEqual([]);
    await createViews({ sql: database.sql, views: all }).apply({ prune: true });
    expect(await relations()).toEqual([]);
  });

  it('keeps its marks when the connection of a refresh dies, and stays exact', async () => {
    const dying = await database.client();
    const pid = (await dying.query('select pg_backend_pid() as pid')).rows[0]?.pid;
    await call(16, '2026-02-07T12:00:00Z');
    await dying.query('begin');
    await dying.query(`select cachekit.refresh_rollup('per_day')`);
    expect(await difference('select * from per_day_live', raw)).toEqual([]);
    // Another refresher does not wait for the one that is at work.
    expect(await database.one(`select cachekit.refresh_rollup('per_day')->>'state'`)).toBe('busy');
    await database.pool.query('select pg_terminate_backend($1)', [pid]);
    await expect
      .poll(() => database.one('select count(*)::int from pg_stat_activity where pid = $1', [pid]))
      .toBe(0);
    expect(await difference('select * from per_day_live', raw)).toEqual([]);
    expect(await database.one(`select count(*)::int from cachekit.mark where view = 'per_day'`)).toBe(1);
    await refresher().waitFresh('per_day');
    expect(await difference('select * from per_day', raw)).toEqual([]);
  });

  it('adds no deadlock to 24 writers of rows in any order, and readers of it do not wait for its refresh', async () => {
    await database.pool.query(`create table pairs (id int primary key, user_id int, at timestamptz, n int);
      insert into pairs select g, g % 12, timestamptz '2026-01-01Z' + g % 5 * interval '1 day', 0 from generate_series(1, 200) g`);
    const perPair = defineRollup({
      name: 'per_pair',
      from: 'pairs',
      key: { user_id: 'user_id', day: bucket('at', 'day', { timeZone: 'UTC' }) },
      measures: { n: sum('n') },
    });
    const views = [...all, perPair];
    await createViews({ sql: database.sql, views }).apply();
    const keeper = createRefresher({ sql: database.sql, views: [perPair] });
    const clients = await Promise.all(Array.from({ length: 24 }, () => database.client()));
    const failures: unknown[] = [];
    const until = Date.now() + 3_000;
    let waitedMs = 0;
    await Promise.all([
      ...clients.map(async (client, at) => {
        for (let i = 0; Date.now() < until; i++) {
          // Each writer has rows of its own, in groups that all writers share: only the marks could make them wait.
          const mine = [1, 2, 3].map((row) => at * 8 + 1 + ((row * 5 + i) % 8));
          try {
            await client.query('begin');
            for (const id of mine)
              await client.query('update pairs set n = n + 1, user_id = (user_id + 1) % 12 where id = $1', [
                id,
              ]);
            await client.query('commit');
          } catch (error) {
            failures.push(error);
            await client.query('rollback');
          }
        }
      }),
      (async () => {
        while (Date.now() < until) await keeper.waitFresh('per_pair');
      })(),
      (async () => {
        const reader = await database.client();
        await reader.query(`set lock_timeout = '1s'`);
        while (Date.now() < until) {
          const began = Date.now();
          await reader.query('select * from per_pair where user_id = 3');
          waitedMs = Math.max(waitedMs, Date.now() - began);
        }
      })(),
    ]);
    expect(failures).toEqual([]);
    expect(waitedMs).toBeLessThan(5_000);
    const truth = `select user_id, (at at time zone 'UTC')::date as day, sum(n) as n from pairs group by 1, 2`;
    expect(await difference('select * from per_pair_live', truth)).toEqual([]);
    await keeper.waitFresh('per_pair');
    expect(await difference('select * from per_pair', truth)).toEqual([]);
    await createViews({ sql: database.sql, views: all }).apply({ prune: true });
    await database.pool.query('drop table pairs');
  });

  it('tells tenants in place of keys when very many keys changed at once', async () => {
    const keeper = refresher();
    await database.pool.query(`insert into calls (user_id, start_time)
      select 100 + g % 2, timestamptz '1990-01-01 12:00Z' + g / 2 * interval '1 day' from generate_series(0, 10009) g`);
    await keeper.waitFresh('per_day');
    expect((await outbox('per_day')).sort((a, b) => Number(a.tenant) - Number(b.tenant))).toEqual([
      { tenant: '100', key: {} },
      { tenant: '101', key: {} },
    ]);
    expect(await difference('select * from per_day', raw)).toEqual([]);
    await database.pool.query('delete from calls where user_id >= 100');
    await keeper.waitFresh('per_day');
    expect(await difference('select * from per_day', raw)).toEqual([]);
  });
});
