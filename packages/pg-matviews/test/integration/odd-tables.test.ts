import { pgExecutor, quoteIdentifier } from '@cachekit/core/postgres';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import {
  bucket,
  count,
  createRefresher,
  createViews,
  defineRollup,
  defineView,
  max,
  sum,
  uninstallViews,
  type ViewDefinition,
} from '../../src/index.ts';
import { testDatabase } from './database.ts';

const database = testDatabase();
const run = (...statements: string[]): Promise<unknown> => database.pool.query(statements.join(';'));
const apply = (views: readonly ViewDefinition[]): Promise<unknown> =>
  createViews({ sql: database.sql, views }).apply();

/** After each write the exact view is right, and after a refresh of what it marked so are all the views. */
async function follows(
  views: readonly ViewDefinition[],
  raw: string,
  writes: readonly string[],
): Promise<void> {
  const keeper = createRefresher({ sql: database.sql, views });
  const rows = (relation: string): Promise<unknown[]> =>
    database.rows(`select * from ${relation} order by 1`);
  for (const write of writes) {
    await run(write);
    for (const { name, kind } of views) {
      if (kind === 'rollup')
        expect(await rows(quoteIdentifier(`${name}_live`)), write).toEqual(await rows(`(${raw}) r`));
      await keeper.waitFresh(name);
      expect(await rows(quoteIdentifier(name)), write).toEqual(await rows(`(${raw}) r`));
    }
  }
}

describe('a source table', () => {
  it('that is renamed or moved to another schema marks as before once the views are applied, and leaves nothing of its old name', async () => {
    await run('create table visits (k int, v int)', 'create schema elsewhere');
    const over = (table: string): readonly ViewDefinition[] => [
      defineRollup({ name: 'visits_per_k', from: table, key: { k: 'k' }, measures: { s: sum('v') } }),
      defineView({
        name: 'mv_visits_per_k',
        kind: 'materialized',
        query: `select k, sum(v) as s from ${table} group by k`,
        indexes: [{ columns: ['k'], unique: true }],
        sources: { [table]: { key: { k: 'k' } } },
      }),
    ];
    await apply(over('visits'));
    for (const [change, table] of [
      ['alter table visits rename to seen', 'seen'],
      ['alter table seen set schema elsewhere', 'elsewhere.seen'],
    ] as const) {
      await run(change);
      await apply(over(table));
      expect(await createViews({ sql: database.sql, views: over(table) }).check()).toEqual([]);
      await follows(over(table), `select k, sum(v) as s from ${table} group by k`, [
        `insert into ${table} values (1, 1), (2, 2)`,
        `update ${table} set v = v + 1 where k = 1`,
        `delete from ${table} where k = 2`,
      ]);
    }
    await run('alter table elsewhere.seen rename to unknown');
    await expect(apply(over('elsewhere.seen'))).rejects.toMatchObject({ code: '42P01' });
    await uninstallViews({ sql: database.sql });
    expect(await database.one(`select count(*)::int from pg_namespace where nspname = 'cachekit'`)).toBe(0);
    expect(await database.one(`select count(*)::int from pg_trigger where tgname like 'cachekit%'`)).toBe(0);
  });

  it('whose columns were renamed is no drift, and one that took the place of another is read and marks instead of it', async () => {
    await run('create table orders (k int, v int)', 'create table orders_new (id int, v int, k int)');
    const over = (column: string, aggregate = 'sum'): readonly ViewDefinition[] => [
      defineRollup({
        name: 'orders_per_k',
        from: 'orders',
        key: { k: 'k' },
        measures: { s: aggregate === 'sum' ? sum(column) : max(column) },
      }),
      defineView({
        name: 'mv_orders_per_k',
        kind: 'materialized',
        query: `select k, ${aggregate}(${column}) as s from orders group by k`,
        indexes: [{ columns: ['k'], unique: true }],
        sources: { orders: { key: { k: 'k' } } },
      }),
      defineView({ name: 'v_orders', kind: 'view', query: `select k, ${column} as amount from orders` }),
    ];
    const writes = (column: string): string[] => [
      `insert into orders (k, ${column}) values (1, 1), (2, 2)`,
      `update orders set ${column} = ${column} + 1 where k = 1`,
      'delete from orders where k = 2',
    ];
    const stored = (views: readonly ViewDefinition[]): readonly ViewDefinition[] => views.slice(0, 2);
    await apply(over('v'));
    await run('alter table orders rename v to amount');
    await apply(over('amount', 'max'));
    await follows(
      stored(over('amount', 'max')),
      'select k, max(amount) as s from orders group by k',
      writes('amount'),
    );

    await apply(over('amount'));
    await run(
      'alter table orders rename amount to v',
      'alter table orders rename to orders_old',
      'alter table orders_new rename to orders',
    );
    await apply(over('v'));
    expect(await createViews({ sql: database.sql, views: over('v') }).check()).toEqual([]);
    await follows(stored(over('v')), 'select k, sum(v) as s from orders group by k', writes('v'));
    expect(
      await database.rows(`select tgname from pg_trigger where tgrelid = 'orders_old'::regclass`),
    ).toEqual([]);

    await run('create or replace view orders_per_k_live as select 1 as k, 2::bigint as s');
    await expect(apply(over('v'))).rejects.toMatchObject({ code: 'VIEW_DRIFT' });
    await createViews({ sql: database.sql, views: over('v') }).apply({ drift: 'replace' });
  });
});

describe('a write', () => {
  it('never fails because of a key whose type refuses NULL', async () => {
    await run(
      'create domain positive as int not null check (value > 0)',
      'create table rooms (k positive, v int)',
      'insert into rooms values (1, 1)',
    );
    const views = [
      defineRollup({ name: 'rooms_per_k', from: 'rooms', key: { k: 'k' }, measures: { s: sum('v') } }),
    ];
    await apply(views);
    await follows(views, 'select k, sum(v) as s from rooms group by k', [
      'insert into rooms values (1, 2), (3, 4)',
      'truncate rooms',
      'insert into rooms values (5, 6)',
    ]);
  });

  it('marks by generated columns, also by those that are computed at every read', async () => {
    const version = await database.one<number>(`select current_setting('server_version_num')::int`);
    const kind = version >= 180_000 ? 'virtual' : 'stored';
    // Columns called as variables of the trigger's function are.
    await run(`create table sales (id int, told int, many int, most int,
      k int generated always as (coalesce(told, -1)) ${kind}, total int generated always as (many * most) ${kind})`);
    const raw = 'select k, sum(total) as s from sales group by k';
    const views = [
      defineRollup({ name: 'sales_per_k', from: 'sales', key: { k: 'k' }, measures: { s: sum('total') } }),
      defineView({
        name: 'mv_sales_per_k',
        kind: 'materialized',
        query: raw,
        indexes: [{ columns: ['k'], unique: true }],
        sources: { sales: { key: { k: 'k' } } },
      }),
    ];
    await apply(views);
    await follows(views, raw, [
      'insert into sales (id, told, many, most) values (1, 1, 2, 3), (2, null, 4, 5), (3, 1, 1, 1)',
      'insert into sales (id, told, many, most) values (4, 2, 2, 2)',
      'update sales set most = 7 where id = 1',
      'update sales set most = most + 1',
      'update sales set told = 9 where id = 2',
      'delete from sales where id = 3',
    ]);
  });
});

describe('a key', () => {
  it('of texts that are equal and differ is one group', async () => {
    await run(
      `create collation any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
      'create schema extensions',
      'create extension citext schema extensions',
    );
    for (const [name, type] of [
      ['by_collation', 'text collate any_case'],
      ['by_type', 'extensions.citext'],
    ] as const) {
      await run(`create table ${name} (k ${type}, v int)`);
      const views = [
        defineRollup({ name: `${name}_k`, from: name, key: { k: 'k' }, measures: { s: sum('v') } }),
      ];
      await apply(views);
      const keeper = createRefresher({ sql: database.sql, views });
      for (const write of [
        `insert into ${name} values ('Ada', 1)`,
        `insert into ${name} values ('ada', 2), ('ADA', 4), ('Bob', 8)`,
        `update ${name} set k = 'aDa' where v = 8`,
        `delete from ${name} where v = 1`,
      ]) {
        await run(write);
        const raw = await database.rows(
          `select lower(min(k::text)) as k, sum(v) as s from ${name} group by ${name}.k order by 1`,
        );
        const shown = (view: string): Promise<unknown[]> =>
          database.rows(`select lower(k::text) as k, s from ${view} order by 1`);
        expect(await shown(`${name}_k_live`), write).toEqual(raw);
        await keeper.waitFresh(`${name}_k`);
        expect(await shown(`${name}_k`), write).toEqual(raw);
      }
    }
  });
});

describe('a bucket of time', () => {
  it('holds what is for ever, what was before all, and both sides of a change of the clock', async () => {
    await run('create table spans (at timestamptz, wall timestamp, v int default 1)');
    const times = ['infinity', '-infinity', '2026-10-25T00:30Z', '2026-10-25T01:30Z', '2026-10-24T22:00Z'];
    for (const timeZone of ['UTC', 'Europe/Berlin', 'Australia/Lord_Howe']) {
      for (const unit of ['hour', 'day', 'month'] as const) {
        const zoned =
          unit === 'hour'
            ? `date_trunc('hour', at, '${timeZone}')`
            : `date_trunc('${unit}', at at time zone '${timeZone}')::date`;
        const walled =
          unit === 'hour'
            ? `date_trunc('hour', wall at time zone 'UTC', '${timeZone}')`
            : `date_trunc('${unit}', wall at time zone 'UTC' at time zone '${timeZone}')::date`;
        const views = [
          defineRollup({
            name: 'per_span',
            from: 'spans',
            key: {
              at: bucket('at', unit, { timeZone }),
              wall: bucket('wall', unit, { timeZone, storedIn: 'UTC' }),
            },
            measures: { s: sum('v') },
          }),
        ];
        await apply(views);
        await follows(
          views,
          `select ${zoned} as at, ${walled} as wall, sum(v) as s from spans group by 1, 2`,
          [
            ...times.map(
              (at) => `insert into spans values ('${at}', '${at}'::timestamptz at time zone 'UTC')`,
            ),
            'update spans set v = v + 1',
            'truncate spans',
          ],
        );
      }
    }
  });
});

describe('names and texts of a definition', () => {
  it("are the user's own: tables called as parts of a refresh, odd columns, comments at the end, values without an equality", async () => {
    await run(
      'create table taken (id int generated always as identity, k int, at timestamptz default now(), v int)',
      'create table differing (k int primary key, label text)',
      `insert into differing select g, 'label ' || g from generate_series(1, 9) g`,
    );
    const writes = [
      'insert into taken (k, v) values (1, 1), (2, 2), (3, 0)',
      'update taken set v = v + 1 where k = 1',
      `update differing set label = 'other' where k = 1`,
      'delete from taken where k = 2',
      'truncate taken',
      'insert into taken (k, v) values (3, 3)',
    ];
    await holds(
      defineRollup({
        name: 'Taken "per" day',
        from: 'taken',
        key: { 'lag. of k': 'k', 'x g.y': bucket('at', 'day', { timeZone: 'UTC' }) },
        window: { key: 'x g.y', buckets: 3 },
        where: 'v > 0 -- and no others',
        measures: { n: count().where('v > 1 /* more than one */ -- so there') },
        derived: { m: { type: 'integer', sql: 'n + 1 -- and one' } },
      }),
      `select k as "lag. of k", (at at time zone 'UTC')::date as "x g.y", count(*) filter (where v > 1) as n,
         (count(*) filter (where v > 1) + 1)::int as m from taken where v > 0 group by 1, 2`,
      writes,
    );
    await holds(
      defineRollup({
        name: 'taken_per_label',
        from: 'taken',
        key: { k: 'k' },
        query: ({
          scope,
        }) => `select t.k, min(d.label) as label, json_agg(t.v order by t.id) as vs, (array_agg(point(t.v, 1) order by t.id))[1] as at
          from ${scope('taken')} t join differing d on d.k = t.k group by 1; -- one row per k`,
        dimensions: { differing: { key: { k: 'k' } } },
      }),
      `select t.k, min(d.label) as label, json_agg(t.v order by t.id) as vs, (array_agg(point(t.v, 1) order by t.id))[1] as at
         from taken t join differing d on d.k = t.k group by 1`,
      writes,
    );

    async function holds(view: ViewDefinition, raw: string, all: readonly string[]): Promise<void> {
      await apply([view]);
      await follows([view], raw, all);
      await run(
        'set session_replication_role = replica',
        'insert into taken (k, v) values (1, 9)',
        'reset session_replication_role',
      );
      const keeper = createRefresher({ sql: database.sql, views: [view] });
      expect(await keeper.reconcile(view.name)).toMatchObject({ healed: 1 });
      await follows([view], raw, ['select']);
    }
  });
});

describe('a name that refreshes use themselves', () => {
  const refused = (what: string): object => ({
    code: 'INVALID_CONFIGURATION',
    message: expect.stringContaining(`"${what}"`),
  });
  const thrown = (make: () => unknown): unknown => {
    try {
      return make();
    } catch (error) {
      return error;
    }
  };

  it.each(['ck_rows', 'ck_taken', 'ck_dirty', 'ck_marks', 'ck_parts'])(
    'is refused where it would hide the table %s, and fine with its schema',
    async (table) => {
      await run(`create table ${table} (k int, v int)`, `insert into ${table} values (1, 1)`);
      const summed = (from: string): ViewDefinition =>
        defineRollup({ name: 'named', from, key: { k: 'k' }, measures: { s: sum('v') } });
      const queried = (from: string, more: string): ViewDefinition =>
        defineRollup({
          name: 'named_q',
          from,
          key: { k: 'k' },
          query: ({ scope }) =>
            `select t.k, sum(t.v) + (select count(*) from ${more}) * 0 as s from ${scope(from)} t group by t.k`,
          dimensions: { [more]: {} },
        });
      const other = `${table}_other`;
      await run(`create table ${other} (k int)`);
      expect(thrown(() => summed(table))).toMatchObject(refused(table));
      expect(thrown(() => queried(table, other))).toMatchObject(refused(table));
      expect(thrown(() => queried(other, table))).toMatchObject(refused(table));
      const views = [summed(`public.${table}`), queried(`public.${table}`, other)];
      await apply(views);
      await follows(views, `select k, sum(v) as s from ${table} group by k`, [
        `insert into ${table} values (1, 2), (3, 4)`,
        `truncate ${table}`,
        `insert into ${table} values (5, 6)`,
      ]);
      await createViews({ sql: database.sql, views: [] }).apply({ prune: true });
    },
  );

  it.each(['ck_found', 'ck_differs', 'ck_at'])('is refused as the column %s of a group', async (column) => {
    await run(`create table of_${column} (k int, ${column} int)`);
    const from = `of_${column}`;
    expect(
      thrown(() => defineRollup({ name: 'n', from, key: { k: 'k' }, measures: { [column]: count() } })),
    ).toMatchObject(refused(column));
    expect(
      thrown(() => defineRollup({ name: 'n', from, key: { [column]: column }, measures: { n: count() } })),
    ).toMatchObject(refused(column));
    const query = (name: string): ViewDefinition =>
      defineRollup({
        name: 'n',
        from,
        key: { k: 'k' },
        query: ({ scope }) => `select k, max(${column}) as ${name} from ${scope(from)} group by k`,
      });
    await expect(apply([query(column)])).rejects.toMatchObject(refused(column));
    await apply([query('most')]);
    await createViews({ sql: database.sql, views: [] }).apply({ prune: true });
  });

  it('is none of the words of the comparison: reconcile() heals a rollup whose columns are called as those', async () => {
    await run('create table compared (k int, differs int)', 'insert into compared values (1, 1)');
    const view = defineRollup({
      name: 'compared_per_k',
      from: 'compared',
      key: { k: 'k' },
      measures: { differs: max('differs'), groups: count(), wrong: count('differs') },
    });
    await apply([view]);
    const keeper = createRefresher({ sql: database.sql, views: [view] });
    await keeper.waitFresh('compared_per_k');
    await run(
      `set session_replication_role = replica`,
      'update compared set differs = 2',
      'reset session_replication_role',
    );
    expect(await keeper.reconcile('compared_per_k')).toMatchObject({ groups: 1, healed: 1 });
    expect(await database.rows('select * from compared_per_k')).toEqual([
      { k: 1, differs: 2, groups: '1', wrong: '1' },
    ]);
  });

  it('is no pattern of a replacement: reconcile() heals a rollup whose columns have dollars', async () => {
    await run('create table dollars ("$$" int, "$&" int)', 'insert into dollars values (1, 1)');
    const view = defineRollup({
      name: 'per_dollar',
      from: 'dollars',
      key: { $$: '$$' },
      measures: { '$&': max('$&'), "$'": count() },
    });
    await apply([view]);
    const keeper = createRefresher({ sql: database.sql, views: [view] });
    await keeper.waitFresh('per_dollar');
    await run(
      `set session_replication_role = replica`,
      'update dollars set "$&" = 2',
      'reset session_replication_role',
    );
    expect(await keeper.reconcile('per_dollar')).toMatchObject({ groups: 1, healed: 1 });
    expect(await database.rows('select * from per_dollar')).toEqual([{ $$: 1, '$&': 2, "$'": '1' }]);
  });
});

describe('refresh({ where })', () => {
  it('finds the group of a row that was read, whatever types its key has and wherever the process is', async () => {
    await run(
      `create type mood as enum ('sad', 'very "happy"')`,
      `create table moments (at timestamptz, local timestamp, tags text[], info jsonb, raw bytea, took interval, moods mood[], grid int[], v int)`,
      `insert into moments values ('2026-07-01T23:30Z', '2026-07-01 23:30:01.5', '{a,"b \\"c",NULL}', '{"a": [1]}', '\\x00ff', '1 day 2 hours', '{"very \\"happy\\""}', '{{1,2},{3,4}}', 1)`,
    );
    const key = {
      day: bucket('at', 'day', { timeZone: 'Asia/Tokyo' }),
      at: 'at',
      local: 'local',
      tags: 'tags',
      info: 'info',
      raw: 'raw',
      took: 'took',
      moods: 'moods',
      grid: 'grid',
    } as const;
    const views = [
      defineRollup({ name: 'moments_per_key', from: 'moments', key, measures: { s: sum('v') } }),
    ];
    await apply(views);
    const keeper = createRefresher({ sql: database.sql, views });
    await keeper.waitFresh('moments_per_key');
    const marks: number[] = [];
    keeper.on('refreshed', (event) => marks.push(event.marks));
    const zone = process.env.TZ;
    for (const timeZone of ['Europe/Berlin', 'America/New_York']) {
      process.env.TZ = timeZone;
      expect(new Date(2026, 6, 1).getTimezoneOffset()).not.toBe(0);
      const [row] = await database.rows<Record<string, unknown>>('select * from moments_per_key');
      for (const name of Object.keys(key)) {
        marks.length = 0;
        await keeper.refresh('moments_per_key', { where: { [name]: row?.[name] } });
        expect(marks, `${name} in ${timeZone}`).toEqual([1]);
      }
    }
    if (zone === undefined) delete process.env.TZ;
    else process.env.TZ = zone;
    for (const value of [null, undefined]) {
      await expect(keeper.refresh('moments_per_key', { where: { tags: value } })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
  });
});

describe('a key that a materialized view is told of', () => {
  it('has the same text, whatever the settings of the writer are', async () => {
    await run('create table samples (at timestamptz, took interval, sum bytea, v int)');
    const views = [
      defineView({
        name: 'mv_samples',
        kind: 'materialized',
        query: 'select at, took, sum, count(*) as n from samples group by 1, 2, 3',
        indexes: [{ columns: ['at', 'took', 'sum'], unique: true }],
        sources: { samples: { key: { at: 'at', took: 'took', sum: 'sum' } } },
      }),
    ];
    await apply(views);
    const keeper = createRefresher({ sql: database.sql, views });
    await keeper.waitFresh('mv_samples');
    const keys: unknown[] = [];
    keeper.on('refreshed', ({ changes }) => keys.push(...changes.map(({ key }) => key)));
    const write = `insert into samples values ('2026-07-01T12:00Z', '26 hours', '\\x0141', 1)`;
    await run('begin', write, 'commit');
    await run(
      'begin',
      `set local timezone = 'America/Sao_Paulo'`,
      `set local intervalstyle = 'iso_8601'`,
      `set local bytea_output = 'escape'`,
      write,
      'commit',
    );
    await keeper.waitFresh('mv_samples');
    expect(keys).toEqual([{ at: '2026-07-01T12:00:00+00:00', took: '26:00:00', sum: '\\x0141' }]);
  });
});

describe('row-level security', () => {
  it('that hides rows from whoever applies a view makes apply() fail, instead of filling it with some', async () => {
    await uninstallViews({ sql: database.sql });
    await run(
      'create role half_sighted login',
      `do $$ begin execute format('grant create on database %I to half_sighted', current_database()); end $$`,
      'create table secrets (k int)',
      'insert into secrets values (1), (2)',
      'alter table secrets enable row level security',
      'create policy one on secrets using (k = 1)',
      'grant all on secrets to half_sighted',
      'create schema sights authorization half_sighted',
    );
    const login = new URL(database.url);
    login.username = 'half_sighted';
    const pool = new pg.Pool({ connectionString: login.href, max: 1 });
    const views = [
      defineView({ name: 'mv_secrets', kind: 'materialized', query: 'select k from secrets' }),
      defineRollup({ name: 'secrets_per_k', from: 'secrets', key: { k: 'k' }, measures: { n: count() } }),
    ];
    try {
      for (const view of views) {
        await expect(
          createViews({ sql: pgExecutor(pool), views: [view], schema: 'sights' }).apply(),
        ).rejects.toMatchObject({ code: '42501', message: expect.stringContaining('row-level security') });
      }
      // So does a refresh, also one from SQL in a session that says nothing of row-level security.
      await run(
        'alter table secrets disable row level security',
        'alter table secrets owner to half_sighted',
      );
      await createViews({ sql: pgExecutor(pool), views, schema: 'sights' }).apply();
      await run(
        'alter table secrets enable row level security',
        'alter table secrets force row level security',
      );
      for (const { name } of views) {
        await expect(pool.query('select cachekit.refresh($1, true)', [name])).rejects.toMatchObject({
          code: '42501',
        });
        expect(await database.one(`select count(*)::int from sights.${name}`)).toBe(2);
      }
    } finally {
      await pool.end();
      await run('drop owned by half_sighted', 'drop role half_sighted');
    }
  });
});
