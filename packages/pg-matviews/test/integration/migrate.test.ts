import { Kysely, PostgresDialect } from 'kysely';
import { describe, expect, it } from 'vitest';
import { createViews, defineView, type ViewDefinition } from '../../src/index.ts';
import { testDatabase } from './database.ts';

const database = testDatabase(`
  create table calls (id int primary key, user_id int not null, status text, duration int);
  insert into calls select g, g % 3, case when g % 2 = 0 then 'answered' else 'failed' end, g from generate_series(1, 30) g;
`);

let schemas = 0;
/** A schema of its own for each test, so that they share one database. */
function freshSchema(): string {
  schemas += 1;
  return `views_${schemas}`;
}

const totals = (name: string, extra = ''): ViewDefinition =>
  defineView({
    name,
    kind: 'materialized',
    query: `select user_id, count(*) as total${extra} from calls group by user_id`,
    indexes: [{ columns: ['user_id'], unique: true }, { columns: ['total desc nulls last'] }],
    tenant: 'user_id',
    sources: { 'public.calls': { tenant: 'user_id' } },
  });

const actions = (entries: readonly { view: string; action: string }[]): Record<string, string> =>
  Object.fromEntries(entries.map(({ view, action }) => [view, action]));

describe('createViews().apply()', () => {
  it('applies four layers in any order of declaration', async () => {
    const schema = freshSchema();
    const layer = (n: number, query: string, kind: 'view' | 'materialized'): ViewDefinition =>
      defineView({ name: `layer_${n}`, kind, layer: n, query });
    const views = [
      layer(4, 'select * from layer_3 where total > 0', 'view'),
      layer(2, `select user_id, total * 2 as total from "${schema}".layer_1`, 'view'),
      layer(3, 'select user_id, sum(total) as total from layer_2 group by 1', 'materialized'),
      layer(1, 'select user_id, count(*) as total from calls group by 1', 'materialized'),
    ];
    for (const order of [views, views.toReversed(), [...views.slice(2), ...views.slice(0, 2)]]) {
      await database.pool
        .query(`drop schema if exists "${schema}" cascade; truncate cachekit.view cascade`)
        .catch(() => undefined);
      const entries = await createViews({ sql: database.sql, schema, views: order }).apply();
      expect(entries.map(({ view }) => view)).toEqual(['layer_1', 'layer_2', 'layer_3', 'layer_4']);
      expect(new Set(entries.map(({ action }) => action))).toEqual(new Set(['create']));
      expect(await database.one(`select sum(total)::int from "${schema}".layer_4`)).toBe(60);
    }
    expect(
      await database.rows('select parent, child from cachekit.view_edge order by parent, child'),
    ).toEqual([
      { parent: 'layer_1', child: 'layer_2' },
      { parent: 'layer_1', child: 'layer_3' },
      { parent: 'layer_3', child: 'layer_4' },
    ]);
  });

  it('does nothing the second time', async () => {
    const schema = freshSchema();
    const views = createViews({ sql: database.sql, schema, views: [totals('again')] });
    await views.apply();
    const before = await database.rows('select relname, oid, xmin::text from pg_class order by oid');
    expect(actions(await views.plan())).toMatchObject({ again: 'unchanged' });
    expect(actions(await views.apply())).toMatchObject({ again: 'unchanged' });
    expect(await views.check()).toEqual([]);
    expect(await views.script()).toBe('');
    expect(await database.rows('select relname, oid, xmin::text from pg_class order by oid')).toEqual(before);
  });

  it('does nothing the second time, in whatever order tables and views are named and the server sorts', async () => {
    const schema = freshSchema();
    await database.pool.query(
      `create table "${schema}_b" (id int primary key, user_id int not null); create table "${schema}_a" (like "${schema}_b" including all)`,
    );
    const on = (name: string, from: string, ...sources: string[]): ViewDefinition =>
      defineView({
        name,
        kind: 'materialized',
        query: `select user_id, count(*) as total from ${from} group by user_id`,
        indexes: [{ columns: ['user_id'], unique: true }],
        sources: Object.fromEntries(sources.map((source) => [source, {}])),
      });
    const views = createViews({
      sql: database.sql,
      schema,
      views: [
        on('Both', `"${schema}_b" join "${schema}_a" using (user_id)`, `${schema}_b`, `${schema}_a`),
        on('a_over', `(select user_id from "Both" union all select user_id from another) x`),
        on('another', `"${schema}_a"`, `${schema}_a`),
      ],
    });
    await views.apply();
    const sortEdgesBy = (collation: string) =>
      database.pool.query(
        ['parent', 'child']
          .map((column) => `alter table cachekit.view_edge alter ${column} type text collate "${collation}"`)
          .join(';'),
      );
    await sortEdgesBy('und-x-icu');
    expect(actions(await views.plan())).toEqual({
      Both: 'unchanged',
      a_over: 'unchanged',
      another: 'unchanged',
    });
    expect(await views.script()).toBe('');
    await sortEdgesBy('default');
  });

  it('finds the dependency through a plain view that is not of the catalog', async () => {
    const schema = freshSchema();
    const base = totals('through_base');
    await createViews({ sql: database.sql, schema, views: [base] }).apply();
    await database.pool.query(
      `create view "${schema}".between as select user_id, total + 1 as more from "${schema}".through_base`,
    );
    const top = defineView({
      name: 'through_top',
      kind: 'materialized',
      query: 'select sum(more) as s from between',
    });
    await createViews({ sql: database.sql, schema, views: [top, base] }).apply();
    expect(
      await database.rows(`select parent, child from cachekit.view_edge where child = 'through_top'`),
    ).toEqual([{ parent: 'through_base', child: 'through_top' }]);
    const layered = (name: string, layer: number, view: ViewDefinition): ViewDefinition => ({
      ...view,
      name,
      layer,
    });
    await expect(
      createViews({
        sql: database.sql,
        schema,
        views: [layered('through_top', 1, top), layered('through_base', 1, base)],
      }).apply(),
    ).rejects.toMatchObject({ code: 'LAYER_VIOLATION', view: 'through_top', uses: 'through_base' });
  });

  it('replaces a base view and keeps what depends on it, with indexes, rights and comments', async () => {
    const schema = freshSchema();
    const top = defineView({
      name: 'top',
      kind: 'materialized',
      query: 'select count(*)::int as users, sum(total)::int as total from base',
      indexes: [{ columns: ['users'], unique: true, name: 'top_users' }],
    });
    await createViews({ sql: database.sql, schema, views: [top, totals('base')] }).apply();
    await database.pool.query(`
      do $$ begin create role cachekit_views_reader; exception when duplicate_object then null; end $$;
      create view "${schema}".stranger with (security_barrier) as select total from "${schema}".base where user_id = 1;
      create materialized view "${schema}".stranger_rows as select count(*) as n from "${schema}".stranger;
      create unique index stranger_n on "${schema}".stranger_rows (n);
      create index by_hand on "${schema}".base (total, user_id);
      comment on index "${schema}".by_hand is 'made by hand';
      comment on materialized view "${schema}".base is 'calls per user';
      comment on column "${schema}".base.total is 'all calls';
      grant usage on schema "${schema}" to cachekit_views_reader;
      grant select on "${schema}".base, "${schema}".top, "${schema}".stranger to cachekit_views_reader;
      grant select (user_id) on "${schema}".base to cachekit_views_reader with grant option;
    `);
    const indexes = () =>
      database.rows(`select tablename, indexname from pg_indexes where schemaname = $1 order by 1, 2`, [
        schema,
      ]);
    const rights = () =>
      database.rows(
        `select c.relname, c.reloptions, has_table_privilege('cachekit_views_reader', c.oid, 'select') as may,
           obj_description(c.oid) as comment from pg_class c join pg_namespace n on n.oid = relnamespace
         where nspname = $1 and relkind in ('v', 'm') order by 1`,
        [schema],
      );
    const [indexesBefore, rightsBefore] = [await indexes(), await rights()];

    const changed = createViews({
      sql: database.sql,
      schema,
      views: [top, totals('base', ', max(duration) as longest')],
    });
    expect(actions(await changed.plan())).toMatchObject({ base: 'replace', top: 'replace' });
    await changed.apply();

    expect(await indexes()).toEqual(indexesBefore);
    expect(await rights()).toEqual(rightsBefore);
    expect(await database.one(`select max(longest) from "${schema}".base`)).toBe(30);
    expect(await database.rows(`select users, total from "${schema}".top`)).toEqual([
      { users: 3, total: 30 },
    ]);
    expect(await database.one(`select n::int from "${schema}".stranger_rows`)).toBe(1);
    expect(await database.one(`select obj_description('"${schema}".by_hand'::regclass)`)).toBe(
      'made by hand',
    );
    expect(await database.one(`select col_description('"${schema}".base'::regclass, 2)`)).toBe('all calls');
    expect(
      await database.one(
        `select has_column_privilege('cachekit_views_reader', '"${schema}".base', 'user_id', 'select with grant option')`,
      ),
    ).toBe(true);
    expect(await changed.check()).toEqual([]);
  });

  it('shows a dependent view the new rows, not those of the old one', async () => {
    const schema = freshSchema();
    const top = defineView({
      name: 'sum_top',
      kind: 'view',
      query: 'select sum(total)::int as total from sum_base',
    });
    const base = (factor: number): ViewDefinition =>
      defineView({
        name: 'sum_base',
        kind: 'materialized',
        query: `select count(*) * ${factor} as total from calls`,
      });
    await createViews({ sql: database.sql, schema, views: [base(1), top] }).apply();
    await createViews({ sql: database.sql, schema, views: [base(1000), top] }).apply();
    expect(await database.one(`select total from "${schema}".sum_top`)).toBe(30_000);
  });

  it('changes a plain view into a materialized one', async () => {
    const schema = freshSchema();
    const query = 'select user_id, count(*) as total from calls group by 1';
    const top = defineView({
      name: 'kind_top',
      kind: 'view',
      query: 'select sum(total)::int as total from kind_base',
    });
    await createViews({
      sql: database.sql,
      schema,
      views: [top, defineView({ name: 'kind_base', kind: 'view', query })],
    }).apply();
    const stored = createViews({
      sql: database.sql,
      schema,
      views: [
        top,
        defineView({
          name: 'kind_base',
          kind: 'materialized',
          query,
          indexes: [{ columns: ['user_id'], unique: true }],
        }),
      ],
    });
    expect(await stored.plan()).toMatchObject([
      { view: 'kind_base', action: 'replace', reason: 'its kind changed' },
      { view: 'kind_top', action: 'replace' },
    ]);
    await stored.apply();
    expect(
      await database.one(`select relkind from pg_class where oid = '"${schema}".kind_base'::regclass`),
    ).toBe('m');
    expect(await database.one(`select total from "${schema}".kind_top`)).toBe(30);
  });

  it('changes indexes without touching the rows', async () => {
    const schema = freshSchema();
    await createViews({ sql: database.sql, schema, views: [totals('altered')] }).apply();
    const oid = await database.one(`select '"${schema}".altered'::regclass::oid`);
    const views = createViews({
      sql: database.sql,
      schema,
      views: [
        defineView({
          name: 'altered',
          kind: 'materialized',
          query: 'select user_id, count(*) as total from calls group by user_id',
          indexes: [
            { columns: ['user_id'], unique: true },
            { columns: ['total'], where: 'total > 1', name: 'altered_some' },
          ],
        }),
      ],
    });
    expect(actions(await views.apply())).toMatchObject({ altered: 'alter' });
    expect(await database.one(`select '"${schema}".altered'::regclass::oid`)).toBe(oid);
    expect(
      await database.rows('select indexname from pg_indexes where schemaname = $1 order by 1', [schema]),
    ).toEqual([{ indexname: 'altered_some' }, { indexname: 'altered_user_id_key' }]);
    expect(await database.one(`select count(*)::int from cachekit.view_source where view = 'altered'`)).toBe(
      0,
    );
    expect(await views.check()).toEqual([]);
  });

  it('rolls everything back when one view cannot be created', async () => {
    const schema = freshSchema();
    const wrong = defineView({
      name: 'wrong',
      kind: 'materialized',
      query: 'select 1 / (id - id) as x from calls',
    });
    const views = createViews({ sql: database.sql, schema, views: [totals('right'), wrong] });
    await expect(views.apply()).rejects.toMatchObject({ code: '22012' });
    expect(await database.one(`select to_regnamespace('${schema}')`)).toBeNull();
  });

  it('says which view has a query that the server refuses', async () => {
    const broken = defineView({ name: 'broken', kind: 'view', query: 'select cals.user_id from calls' });
    const views = createViews({
      sql: database.sql,
      schema: freshSchema(),
      views: [totals('whole_beside'), broken],
    });
    await expect(views.plan()).rejects.toMatchObject({
      code: '42P01',
      message: expect.stringMatching(/^View "broken": .*"cals"/),
    });
  });

  it('drops views that are defined no more, only when told to', async () => {
    const schema = freshSchema();
    await createViews({ sql: database.sql, schema, views: [totals('stays'), totals('goes')] }).apply();
    const views = createViews({ sql: database.sql, schema, views: [totals('stays')] });
    expect(actions(await views.apply())).toEqual({ stays: 'unchanged', goes: 'orphan' });
    expect(await database.one(`select to_regclass('"${schema}".goes') is null`)).toBe(false);
    expect(actions(await views.apply({ prune: true }))).toEqual({ stays: 'unchanged', goes: 'drop' });
    expect(await database.one(`select to_regclass('"${schema}".goes') is null`)).toBe(true);
    await database.pool.query(`delete from cachekit.mark; insert into calls values (1001, 1)`);
    expect(
      await database.rows(`select distinct view from cachekit.mark where view in ('stays', 'goes')`),
    ).toEqual([{ view: 'stays' }]);
    await createViews({ sql: database.sql, schema, views: [] }).apply({ prune: true });
    await database.pool.query('delete from calls where id = 1001');
  });

  it('takes a Kysely query whose values become constants', async () => {
    const schema = freshSchema();
    const db = new Kysely<{ calls: { id: number; user_id: number; status: string; duration: number } }>({
      dialect: new PostgresDialect({ pool: database.pool }),
    });
    const query = db
      .selectFrom('calls')
      .select(({ fn }) => ['user_id', fn.countAll().as('total')])
      .where('status', '=', "answered'; drop table calls; --")
      .where('duration', '>', -1)
      .groupBy('user_id');
    const view = defineView({ name: 'typed', kind: 'materialized', query });
    const views = createViews({ sql: database.sql, schema, views: [view] });
    await views.apply();
    expect(await database.one(`select count(*)::int from "${schema}".typed`)).toBe(0);
    expect(actions(await views.plan())).toMatchObject({ typed: 'unchanged' });
  });

  it('gives a script that does the same in another tool', async () => {
    const schema = freshSchema();
    const views = createViews({ sql: database.sql, schema, views: [totals('scripted')] });
    const script = await views.script();
    expect(await database.one(`select to_regnamespace('${schema}')`)).toBeNull();
    await database.pool.query(script);
    expect(actions(await views.plan())).toMatchObject({ scripted: 'unchanged' });
    expect(await views.check()).toEqual([]);
  });
});

describe('the schema of CacheKit', () => {
  it('may be dropped: writers go on, and apply takes the views it finds', async () => {
    const schema = freshSchema();
    const views = createViews({ sql: database.sql, schema, views: [totals('adopted')] });
    await views.apply();
    const oid = await database.one(`select '"${schema}".adopted'::regclass::oid`);
    await database.pool.query('drop schema cachekit cascade');
    await database.pool.query(`insert into calls values (2001, 1); delete from calls where id = 2001`);
    expect(await views.check()).toEqual([]);
    expect(actions(await views.apply())).toEqual({ adopted: 'alter' });
    expect(await database.one(`select '"${schema}".adopted'::regclass::oid`)).toBe(oid);
    await database.pool.query(`insert into calls values (2001, 1); delete from calls where id = 2001`);
    expect(await database.one(`select count(*)::int from cachekit.mark where tenant = '1'`)).toBe(2);
    expect(actions(await views.apply())).toEqual({ adopted: 'unchanged' });
  });
});

describe('drift', () => {
  it('is a view that was replaced by hand: apply refuses, and replaces when told to', async () => {
    const schema = freshSchema();
    const views = createViews({ sql: database.sql, schema, views: [totals('drifted')] });
    await views.apply();
    await database.pool.query(`
      drop materialized view "${schema}".drifted;
      create materialized view "${schema}".drifted as select user_id, 0::bigint as total from calls;`);
    expect(await views.check()).toContainEqual({ view: 'drifted', what: 'definition' });
    expect(actions(await views.plan())).toMatchObject({ drifted: 'drift' });
    await expect(views.apply()).rejects.toMatchObject({ code: 'VIEW_DRIFT', views: ['drifted'] });
    await views.apply({ drift: 'replace' });
    expect(await views.check()).toEqual([]);
    expect(await database.one(`select sum(total)::int from "${schema}".drifted`)).toBe(30);
  });

  it('is not a definition that waits to be applied', async () => {
    const schema = freshSchema();
    await createViews({ sql: database.sql, schema, views: [totals('pending')] }).apply();
    const next = createViews({ sql: database.sql, schema, views: [totals('pending', ', 1 as one')] });
    expect(actions(await next.plan())).toMatchObject({ pending: 'replace' });
    expect(await next.check()).toEqual([]);
  });

  it('is an index that is gone or other, a view that is gone, a trigger that is disabled; apply mends them', async () => {
    const schema = freshSchema();
    const views = createViews({ sql: database.sql, schema, views: [totals('mended'), totals('gone')] });
    await views.apply();
    await database.pool.query(`
      drop index "${schema}".mended_user_id_key;
      drop index "${schema}".mended_total_idx;
      create index mended_total_idx on "${schema}".mended (total asc);
      drop materialized view "${schema}".gone;
      alter table calls disable trigger cachekit_mark_update;
      drop trigger cachekit_mark_delete on calls;`);
    const drifts = await views.check();
    expect(drifts).toEqual(
      expect.arrayContaining([
        { view: 'mended', what: 'index', object: 'mended_user_id_key' },
        { view: 'mended', what: 'index', object: 'mended_total_idx' },
        { view: 'gone', what: 'missing' },
        { view: 'mended', what: 'trigger', object: 'public.calls' },
      ]),
    );
    await views.apply();
    expect(await views.check()).toEqual([]);
    expect(
      await database.one(`select indexdef from pg_indexes where indexname = 'mended_total_idx'`),
    ).toContain('total DESC NULLS LAST');
  });

  it('is a different view of that name that was never applied', async () => {
    const schema = freshSchema();
    await database.pool.query(`create schema "${schema}"; create view "${schema}".theirs as select 1 as one`);
    const views = createViews({ sql: database.sql, schema, views: [totals('theirs')] });
    await expect(views.apply()).rejects.toMatchObject({ code: 'VIEW_DRIFT' });
    await database.pool.query(`create table "${schema}".a_table (id int)`);
    const table = createViews({ sql: database.sql, schema, views: [totals('a_table')] });
    await expect(table.apply({ drift: 'replace' })).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
  });
});

describe('locks', () => {
  it('never lets a reader wait longer than the lock timeout behind an apply that waits', async () => {
    const schema = freshSchema();
    await createViews({ sql: database.sql, schema, views: [totals('locked')] }).apply();
    const slow = await database.client();
    await slow.query(`begin; select * from "${schema}".locked`);
    const changed = createViews({
      sql: database.sql,
      schema,
      views: [totals('locked', ', 2 as two')],
      lock: { timeout: 100, wait: '20s' },
    });
    let applied = false;
    const apply = changed.apply().then(() => {
      applied = true;
    });
    const innocent = await database.client();
    let longest = 0;
    for (let i = 0; i < 40; i++) {
      const from = performance.now();
      await innocent.query(`select count(*) from "${schema}".locked`);
      longest = Math.max(longest, performance.now() - from);
    }
    expect(applied).toBe(false);
    expect(longest).toBeLessThan(1_500);
    await slow.query('commit');
    await apply;
    expect(await database.one(`select max(two) from "${schema}".locked`)).toBe(2);
  });

  it('lets readers of a materialized view go on with the old one while the new one is filled aside', async () => {
    const schema = freshSchema();
    const filled = (query: string): ReturnType<typeof createViews> =>
      createViews({
        sql: database.sql,
        schema,
        views: [
          defineView({
            name: 'filled aside',
            kind: 'materialized',
            query,
            indexes: [{ columns: ['n'], unique: true }],
          }),
          defineView({ name: 'above', kind: 'view', query: 'select n from "filled aside"' }),
        ],
      });
    await filled('select 1 as n').apply();
    const gate = await database.client();
    await gate.query('select pg_advisory_lock(77)');
    const apply = filled('select 2 as n from pg_advisory_xact_lock(77)').apply();
    await expect
      .poll(() =>
        database.one(`select count(*)::int from pg_locks where locktype = 'advisory' and not granted`),
      )
      .toBe(1);
    const reader = await database.client();
    await reader.query(`set lock_timeout = '5s'`);
    for (const view of ['filled aside', 'above']) {
      expect((await reader.query(`select n from "${schema}"."${view}"`)).rows).toEqual([{ n: 1 }]);
    }
    await gate.query('select pg_advisory_unlock(77)');
    await apply;
    expect((await reader.query(`select n from "${schema}".above`)).rows).toEqual([{ n: 2 }]);
    expect(await database.one(`select count(*)::int from pg_indexes where schemaname = $1`, [schema])).toBe(
      1,
    );
    expect(await filled('select 2 as n from pg_advisory_xact_lock(77)').check()).toEqual([]);
  });

  it('gives up with the error of the database when the lock stays away', async () => {
    const schema = freshSchema();
    await createViews({ sql: database.sql, schema, views: [totals('stuck')] }).apply();
    const slow = await database.client();
    await slow.query(`begin; select * from "${schema}".stuck`);
    const changed = createViews({
      sql: database.sql,
      schema,
      views: [totals('stuck', ', 2 as two')],
      lock: { timeout: 50, wait: 200 },
    });
    await expect(changed.apply()).rejects.toMatchObject({ code: '55P03' });
    await slow.query('rollback');
  });

  it('lets two deployments at once both succeed', async () => {
    const schema = freshSchema();
    const entries = await Promise.all(
      Array.from({ length: 4 }, () =>
        createViews({ sql: database.sql, schema, views: [totals('raced')] }).apply(),
      ),
    );
    expect(entries.map(([entry]) => entry?.action).sort()).toEqual([
      'create',
      'unchanged',
      'unchanged',
      'unchanged',
    ]);
  });
});
