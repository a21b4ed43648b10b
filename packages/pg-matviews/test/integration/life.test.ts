import { readFile } from 'node:fs/promises';
import { createChangePipeline } from '@cachekit/core';
import { installOutbox, pgExecutor } from '@cachekit/core/postgres';
import { createDatabase } from '@cachekit/services';
import { uniqueNamespace } from '@cachekit/services/vitest';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import {
  bucket,
  count,
  createRefresher,
  createViews,
  defineRollup,
  defineView,
  refreshSource,
  uninstallViews,
} from '../../src/index.ts';
import { install } from '../../src/migrate/install.ts';
import { packageVersion } from '../../src/migrate/installed.ts';
import { tablesSql, views as viewsOfFixture } from '../fixtures/before-versions/views.ts';

const pools: pg.Pool[] = [];
const drops: (() => Promise<void>)[] = [];
const roles: string[] = [];
async function database(setup: string): Promise<{ url: string; pool: pg.Pool }> {
  const made = await createDatabase(inject('postgresUrl'));
  drops.push(made.drop);
  const pool = poolOf(made.url);
  await pool.query(setup);
  return { url: made.url, pool };
}
function poolOf(url: string, user?: string): pg.Pool {
  const of = new URL(url);
  if (user !== undefined) of.username = user;
  const pool = new pg.Pool({ connectionString: of.href, max: 4 });
  // The database is dropped with whatever sessions have not quite ended.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  pools.push(pool);
  return pool;
}
afterAll(async () => {
  await Promise.all(pools.map((pool) => pool.end()));
  for (const drop of drops) await drop();
  const server = new pg.Client({ connectionString: inject('postgresUrl') });
  await server.connect();
  for (const role of roles) await server.query(`drop role if exists ${role}`);
  await server.end();
});

/** Everything in the catalogs that belongs to a database: what is there, whose it is and who may do what with it. */
async function everything(pool: pg.Pool): Promise<unknown> {
  const { rows } = await pool.query(`
    select 'schema ' || nspname as what, nspacl::text as acl from pg_namespace where nspname !~ '^pg_(toast|temp)'
    union all select relkind::text || ' ' || relnamespace::regnamespace || '.' || relname, relacl::text from pg_class
      where relnamespace::regnamespace::text !~ '^pg_(toast|temp)'
    union all select 'column ' || attrelid::regclass || '.' || attname, attacl::text from pg_attribute a join pg_class c on c.oid = a.attrelid
      where c.relnamespace::regnamespace::text !~ '^pg_(toast|temp|catalog)'
    union all select 'trigger ' || tgrelid::regclass || ' ' || tgname, tgenabled::text from pg_trigger
    union all select 'function ' || oid::regprocedure, proacl::text from pg_proc
    union all select 'type ' || typnamespace::regnamespace || '.' || typname, typacl::text from pg_type where typnamespace::regnamespace::text !~ '^pg_(toast|temp)'
    union all select 'policy ' || polrelid::regclass || ' ' || polname, null from pg_policy
    union all select 'default ' || defaclnamespace::regnamespace, defaclacl::text from pg_default_acl
    union all select 'extension ' || extname, null from pg_extension
    union all select 'setting ' || setrole || ' ' || setconfig::text, null from pg_db_role_setting where setdatabase = (select oid from pg_database where datname = current_database())
    union all select 'locks', count(*)::text from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())
    order by 1, 2`);
  return rows;
}

const source = `
  create table calls (id int generated always as identity primary key, user_id int not null, note text);
  create index on calls (user_id);
  create table parted (id int, user_id int) partition by range (id);
  create table parted_one partition of parted for values from (0) to (100);
  insert into calls (user_id) select g % 5 from generate_series(1, 100) g;
`;
const perUser = defineRollup({
  name: 'per_user',
  from: 'calls',
  key: { user_id: 'user_id' },
  measures: { total: count().as('integer') },
  tenant: { column: 'user_id', setting: 'app.user_id' },
});
const native = defineView({
  name: 'native',
  kind: 'materialized',
  query:
    'select user_id, sum(total)::int as total from (select user_id, count(*)::int as total from calls group by 1) c group by 1',
  indexes: [{ columns: ['user_id'], unique: true }],
  tenant: 'user_id',
  sources: { calls: { tenant: 'user_id' } },
});
const plain = defineView({ name: 'plain', kind: 'view', query: 'select user_id, total from native' });
const parts = defineView({
  name: 'parts',
  kind: 'materialized',
  query: 'select user_id, count(*) as n from parted group by 1',
  sources: { parted: {} },
});
const elsewhere = defineView({ name: 'elsewhere', kind: 'view', query: 'select total from public.plain' });

describe('uninstallViews()', () => {
  it('leaves the catalogs of the database as they were, whatever was done in between', async () => {
    const { pool } = await database(source);
    const sql = pgExecutor(pool);
    const role = uniqueNamespace();
    roles.push(role);
    await pool.query(`create role ${role}`);
    const before = await everything(pool);
    const catalog = createViews({ sql, views: [perUser, native, plain, parts] });
    await catalog.apply();
    await createViews({ sql, schema: 'reports', views: [elsewhere] }).apply();
    await pool.query(catalog.grants({ refresher: role, reader: role }));
    const keeper = createRefresher({ sql, views: [perUser, native, parts] });
    const pipeline = createChangePipeline({
      sources: [refreshSource({ sql })],
      stages: [async () => undefined],
    });
    await keeper.start();
    await pipeline.start();
    await pool.query('insert into calls (user_id) values (1); insert into parted values (1, 1)');
    await keeper.waitFresh('native');
    await pipeline.stop();
    await keeper.stop();
    expect(await everything(pool)).not.toEqual(before);
    expect([...(await uninstallViews({ sql }))].sort()).toEqual([
      'elsewhere',
      'native',
      'parts',
      'per_user',
      'plain',
    ]);
    expect(await everything(pool)).toEqual(before);
    await pool.query('insert into calls (user_id) values (2); truncate parted');
    expect(await uninstallViews({ sql })).toEqual([]);
    // And it may come back.
    await catalog.apply();
    expect((await pool.query('select count(*)::int as n from per_user')).rows).toEqual([{ n: 5 }]);
  });

  it('does nothing if somebody else depends on a view', async () => {
    const { pool } = await database(source);
    const sql = pgExecutor(pool);
    await createViews({ sql, views: [perUser] }).apply();
    await pool.query('create view mine as select * from per_user');
    const before = await everything(pool);
    await expect(uninstallViews({ sql })).rejects.toMatchObject({
      code: expect.stringMatching(/^(2BP01|42P01)$/),
    });
    expect(await everything(pool)).toEqual(before);
    await pool.query('insert into calls (user_id) values (77)');
    await createRefresher({ sql, views: [perUser] }).waitFresh('per_user');
    expect((await pool.query('select * from mine where user_id = 77')).rows).toHaveLength(1);
  });

  it('leaves what other packages keep in the same schema', async () => {
    const { pool } = await database(source);
    const sql = pgExecutor(pool);
    await installOutbox(sql, 'change');
    const before = await everything(pool);
    await createViews({ sql, views: [perUser, native] }).apply();
    await uninstallViews({ sql });
    expect(await everything(pool)).toEqual(before);
  });
});

describe('roles', () => {
  it('need no more than grants() and the guide say: who deploys, who refreshes, who reads, who writes', async () => {
    const { url, pool } = await database(source);
    const [deployer, refresher, reader, writer] = Array.from({ length: 4 }, () => uniqueNamespace()) as [
      string,
      string,
      string,
      string,
    ];
    roles.push(reader, writer, refresher, deployer);
    for (const role of roles.slice(-4)) await pool.query(`create role ${role} login`);
    const name = new URL(url).pathname.slice(1);
    // As docs/running-views.md says.
    await pool.query(`grant create on database ${name} to ${deployer};
      grant create on schema public to ${deployer};
      grant select, trigger, update on calls to ${deployer};
      grant insert, update, delete on calls to ${writer}; grant select on calls to ${writer}`);

    const asDeployer = poolOf(url, deployer);
    const views = [perUser, native, plain];
    const catalog = createViews({ sql: pgExecutor(asDeployer), views });
    await catalog.apply();
    await asDeployer.query(catalog.grants({ refresher, reader }));

    await poolOf(url, writer).query(
      `insert into calls (user_id) values (11); update calls set user_id = 12 where user_id = 11`,
    );
    const sql = pgExecutor(poolOf(url, refresher));
    const keeper = createRefresher({ sql, views, retry: { pauseAfter: 3 } });
    const told: string[] = [];
    const errors: unknown[] = [];
    keeper.on('error', ({ error }) => errors.push(error));
    keeper.on('failed', ({ error }) => errors.push(error));
    const pipeline = createChangePipeline({
      sources: [refreshSource({ sql })],
      stages: [async (batch) => void told.push(...batch.map(({ table, tenant }) => `${table} ${tenant}`))],
    });
    await pipeline.start();
    await keeper.start();
    await vi.waitFor(
      () => expect(told).toEqual(expect.arrayContaining(['per_user 12', expect.stringMatching(/^native/)])),
      20_000,
    );
    await keeper.refresh('native');
    await keeper.refresh('per_user', { where: { user_id: 12 } });
    expect(await keeper.reconcile('per_user')).toMatchObject({ healed: 0 });
    await keeper.pause('native');
    await keeper.resume('native');
    expect(await keeper.relation('per_user', { maxStaleness: '1m' })).toContain('per_user');
    expect(await keeper.status()).toMatchObject([
      { view: 'per_user', failures: 0 },
      { view: 'native', failures: 0 },
    ]);

    // A new version of a rollup has a new log.
    const more = defineRollup({
      ...rollupOptions,
      measures: { total: count().as('integer'), noted: count('note').as('integer') },
    });
    await createViews({ sql: pgExecutor(asDeployer), views: [more, native, plain] }).apply();
    await poolOf(url, writer).query(`insert into calls (user_id, note) values (13, 'x')`);
    await keeper.waitFresh('per_user');
    await keeper.refresh('per_user', { where: { user_id: 13 } });
    await keeper.stop();
    await pipeline.stop();
    expect(errors).toEqual([]);

    const asReader = poolOf(url, reader);
    const seen = `begin; set local app.user_id = '13'`;
    const client = await asReader.connect();
    await client.query(seen);
    expect((await client.query('select user_id, noted from per_user')).rows).toEqual([
      { user_id: 13, noted: 1 },
    ]);
    expect((await client.query('select user_id from per_user_live')).rows).toEqual([{ user_id: 13 }]);
    await client.query('rollback');
    client.release();
    expect((await asReader.query('select count(*)::int as n from plain')).rows[0].n).toBeGreaterThan(0);

    const denied = { code: '42501' };
    await expect(asReader.query(`select cachekit.refresh('native')`)).rejects.toMatchObject(denied);
    await expect(asReader.query('select * from cachekit.mark')).rejects.toMatchObject(denied);
    await expect(poolOf(url, writer).query('delete from cachekit.mark')).rejects.toMatchObject(denied);
    const asRefresher = poolOf(url, refresher);
    await expect(asRefresher.query('select * from calls')).rejects.toMatchObject(denied);
    await expect(asRefresher.query(`update cachekit.view set rollup = '{}'`)).rejects.toMatchObject(denied);
    await expect(asRefresher.query('create table cachekit.mine (id int)')).rejects.toMatchObject(denied);
    await pool.query(`drop owned by ${deployer}, ${refresher}, ${reader}, ${writer} cascade`);
  });
});

const rollupOptions = {
  name: 'per_user',
  from: 'calls',
  key: { user_id: 'user_id' },
  tenant: { column: 'user_id', setting: 'app.user_id' },
} as const;

interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

describe('an upgrade', () => {
  const folder = new URL('../fixtures/before-versions/', import.meta.url);
  let worker: Record<'native' | 'rollup' | 'glance' | 'status', Statement[]>;
  beforeAll(async () => {
    worker = JSON.parse(await readFile(new URL('worker.json', folder), 'utf8'));
  });
  /** What a worker of the version before sends, as it was recorded. */
  async function oldWorker(pool: pg.Pool, what: keyof typeof worker): Promise<unknown[]> {
    const client = await pool.connect();
    try {
      await client.query('begin');
      let rows: unknown[] = [];
      for (const { sql, parameters } of worker[what]) {
        rows = (await client.query(sql, [...parameters])).rows;
        // Another worker is at it.
        if (sql.includes('SKIP LOCKED') && rows.length === 0) break;
      }
      await client.query('commit');
      return rows;
    } finally {
      client.release();
    }
  }
  const old = async (): Promise<{ pool: pg.Pool; url: string }> => {
    const made = await database(tablesSql);
    await made.pool.query(await readFile(new URL('install.sql', folder), 'utf8'));
    return made;
  };
  const wrong = async (pool: pg.Pool): Promise<unknown[]> =>
    (
      await pool.query(`select * from ((select user_id, count(*)::int from calls group by 1 except select user_id, total from per_user)
        union all (select user_id, sum(total)::int from per_day group by 1 except select user_id, count(*)::int from calls group by 1)) d`)
    ).rows;
  const call = (pool: pg.Pool): Promise<unknown> =>
    pool.query(`insert into calls values ((select max(id) + 1 from calls), 3, 'x', now())`);
  const calls = (pool: pg.Pool): Promise<unknown> =>
    pool.query(
      `insert into calls select max(id) + g, 1 + g, 'x', now() + g * interval '1 day' from calls cross join generate_series(1, 4) g group by g`,
    );

  it('keeps the marks of before, and old and new workers refresh side by side', async () => {
    const { pool } = await old();
    const sql = pgExecutor(pool);
    await call(pool);
    await calls(pool);
    const keeper = createRefresher({ sql, views: viewsOfFixture });
    await expect(keeper.start()).rejects.toMatchObject({
      code: 'INVALID_CONFIGURATION',
      message: expect.stringContaining('apply them first'),
    });
    await createViews({ sql, views: viewsOfFixture }).apply();
    await keeper.waitFresh('per_user');
    await keeper.waitFresh('per_day');
    expect(await wrong(pool)).toEqual([]);
    for (let i = 0; i < 6; i++) {
      await call(pool);
      await calls(pool);
      const worked = [
        oldWorker(pool, 'native'),
        oldWorker(pool, 'rollup'),
        oldWorker(pool, 'glance'),
        keeper.waitFresh('per_user'),
        keeper.waitFresh('per_day'),
      ];
      await Promise.all(i % 2 === 0 ? worked : worked.reverse());
    }
    await call(pool);
    await calls(pool);
    await oldWorker(pool, 'native');
    await oldWorker(pool, 'rollup');
    expect(await wrong(pool)).toEqual([]);
    expect(await oldWorker(pool, 'status')).toHaveLength(2);
    expect(await keeper.status()).toMatchObject([{ marks: 0 }, { marks: 0 }]);
    // What the old one counted as failures, the new one knows, and the other way round.
    await keeper.pause('per_user');
    await call(pool);
    await oldWorker(pool, 'native');
    expect(await keeper.status()).toMatchObject([{ paused: 'call', marks: 0 }, { marks: 1 }]);
  });

  it('counts what old workers do after it, who know nothing of the counts (CW-8)', async () => {
    const { pool } = await old();
    const sql = pgExecutor(pool);
    await createViews({ sql, views: viewsOfFixture }).apply();
    const keeper = createRefresher({ sql, views: viewsOfFixture });
    await keeper.waitFresh('per_day');
    const [, before] = await keeper.status();
    await call(pool);
    // As workers of the versions before wrote a failure down, and as they refresh.
    await pool.query(`UPDATE cachekit.view SET failures = failures + 1, last_error = 'it fell', failed_at = clock_timestamp()
      WHERE name IN (SELECT name FROM cachekit.view WHERE name = 'per_day' FOR UPDATE SKIP LOCKED)`);
    await pool.query(`SELECT cachekit.refresh('per_day', false, NULL, false)`);
    const [, after] = await keeper.status();
    expect(after).toMatchObject({
      failures: 0,
      totals: { refreshes: (before?.totals.refreshes ?? 0) + 1, failures: 1 },
      runs: [{ error: 'it fell' }],
    });
  });

  it('gives who may refresh the right to look for parts, and marks nothing because of it', async () => {
    const { url, pool } = await database(source);
    const role = uniqueNamespace();
    roles.push(role);
    await pool.query(`create role ${role} login`);
    const views = [perUser, parts];
    const catalog = createViews({ sql: pgExecutor(pool), views });
    await catalog.apply();
    await pool.query(catalog.grants({ refresher: role }));
    const first = createRefresher({ sql: pgExecutor(pool), views });
    for (const { name } of views) await first.waitFresh(name);
    // As the version before left it.
    await pool.query(`drop function cachekit.notice_parts(text[]); alter table cachekit.view_source drop column parts;
      update cachekit.installed set version = 5 where part = 'views'`);
    await catalog.apply();
    const keeper = createRefresher({ sql: pgExecutor(poolOf(url, role)), views, debounce: 10 });
    const events: unknown[] = [];
    keeper.on('error', ({ error }) => events.push(error));
    keeper.on('refreshed', ({ view }) => events.push(view));
    await keeper.start();
    await expect
      .poll(
        async () =>
          (await pool.query(`select parts::regclass[]::text from cachekit.view_source where view = 'parts'`))
            .rows,
      )
      .toEqual([{ parts: '{parted_one}' }]);
    await keeper.stop();
    expect(events).toEqual([]);

    // Who may not look, as somebody took the right away, refreshes all the same.
    await pool.query(`revoke execute on function cachekit.notice_parts(text[]) from ${role}`);
    await keeper.start();
    await pool.query('insert into parted values (2, 2)');
    await expect.poll(() => events).toContain('parts');
    await keeper.stop();
    expect(events).toEqual([expect.objectContaining({ code: '42501' }), 'parts']);
    await pool.query('drop function cachekit.notice_parts(text[])');
    events.length = 0;
    await keeper.start();
    await pool.query('insert into parted values (3, 3)');
    await expect.poll(() => events).toContain('parts');
    await keeper.stop();
    expect(events).toEqual([expect.objectContaining({ code: '42883' }), 'parts']);
    await pool.query(`drop owned by ${role} cascade`);
  });

  it('marks a rollup that was not applied again as its version reads it, beside one of this version over the same rows', async () => {
    const { pool } = await old();
    const sql = pgExecutor(pool);
    const perHour = defineRollup({
      name: 'per_hour',
      from: 'calls',
      key: { user_id: 'user_id', hour: bucket('start_time', 'hour', { timeZone: 'UTC' }) },
      measures: { total: count().as('integer') },
    });
    await createViews({ sql, views: [perHour] }).apply();
    const keeper = createRefresher({ sql, views: [perHour] });
    await keeper.waitFresh('per_hour');
    for (let i = 0; i < 3; i++) {
      await calls(pool);
      await calls(pool);
      await pool.query('delete from calls where id in (select id from calls order by id desc limit 3)');
      const live = await pool.query(`select user_id, sum(total)::int as total from per_day_live group by 1
        except select user_id, sum(total)::int from per_hour_live group by 1`);
      expect(live.rows).toEqual([]);
      if (i > 0) await oldWorker(pool, 'native');
      if (i > 0) await oldWorker(pool, 'rollup');
      await keeper.waitFresh('per_hour');
      const kept = `select user_id, sum(total)::int from per_hour group by 1`;
      const rows = `select user_id, count(*)::int from calls group by 1`;
      expect((await pool.query(`(${kept} except ${rows}) union all (${rows} except ${kept})`)).rows).toEqual(
        [],
      );
    }
    expect(await wrong(pool)).toEqual([]);
  });

  it('is the same whether it comes step by step or anew', async () => {
    const { pool } = await old();
    const fresh = await database(tablesSql);
    for (const one of [pool, fresh.pool])
      await createViews({ sql: pgExecutor(one), views: viewsOfFixture }).apply();
    const columns = `select relname, attname, format_type(atttypid, atttypmod) from pg_attribute a join pg_class c on c.oid = attrelid
      where relnamespace = 'cachekit'::regnamespace and attnum > 0 and relname !~ '__[vm][0-9]' order by 1, 2`;
    expect((await pool.query(columns)).rows).toEqual((await fresh.pool.query(columns)).rows);
    const triggers = `select tgname, pg_get_triggerdef(oid) from pg_trigger where tgrelid = 'cachekit.view'::regclass and not tgisinternal`;
    expect((await pool.query(triggers)).rows).toHaveLength(1);
    expect((await pool.query(triggers)).rows).toEqual((await fresh.pool.query(triggers)).rows);
    const functions = `select proname, md5(prosrc), proacl::text from pg_proc where pronamespace = 'cachekit'::regnamespace and proname !~ '^mark_|__r[0-9]' order by 1`;
    expect((await pool.query(functions)).rows).toEqual((await fresh.pool.query(functions)).rows);
  });

  it('to a later version leaves this one at work, and its apply() what the later one installed', async () => {
    const { pool } = await database(tablesSql);
    const sql = pgExecutor(pool);
    const catalog = createViews({ sql, views: viewsOfFixture });
    await catalog.apply();
    const keeper = createRefresher({ sql, views: viewsOfFixture, debounce: 10 });
    await keeper.start();
    await sql.transaction((transaction) =>
      install(transaction, { version: packageVersion.version + 1, oldest: packageVersion.version }),
    );
    await pool.query(`alter table cachekit.view add column of_the_next_version int;
      create or replace function cachekit.reconcile_rollup(view_name text) returns jsonb language sql as $$ select '{"groups": 0, "healed": 0}'::jsonb $$`);
    await call(pool);
    await keeper.waitFresh('per_user');
    await keeper.waitFresh('per_day');
    expect(await wrong(pool)).toEqual([]);
    expect((await catalog.apply()).map(({ action }) => action)).toEqual([
      'unchanged',
      'unchanged',
      'unchanged',
    ]);
    expect(await keeper.reconcile('per_day')).toEqual({ view: 'per_day', groups: 0, healed: 0 });
    await keeper.stop();
    const again = createRefresher({ sql, views: viewsOfFixture });
    await again.start();
    await again.stop();
  });

  it('comes by a script also where no view has changed', async () => {
    const { pool } = await database(tablesSql);
    const sql = pgExecutor(pool);
    const catalog = createViews({ sql, views: viewsOfFixture });
    await pool.query(await catalog.script());
    expect(await catalog.script()).toBe('');
    await pool.query(`update cachekit.installed set version = version - 1 where part = 'views'`);
    const keeper = createRefresher({ sql, views: viewsOfFixture });
    await expect(keeper.start()).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
    await pool.query(await catalog.script());
    expect(await catalog.script()).toBe('');
    await keeper.start();
    await keeper.stop();
  });

  it('to a version that this one cannot work with is said by all that would need to', async () => {
    const { pool } = await database(tablesSql);
    const sql = pgExecutor(pool);
    const catalog = createViews({ sql, views: viewsOfFixture });
    await catalog.apply();
    const next = packageVersion.version + 1;
    await sql.transaction((transaction) => install(transaction, { version: next, oldest: next }));
    const refused = { code: 'INVALID_CONFIGURATION', message: expect.stringContaining('newer version') };
    await expect(catalog.apply()).rejects.toMatchObject(refused);
    await expect(catalog.plan()).rejects.toMatchObject(refused);
    await expect(catalog.script()).rejects.toMatchObject(refused);
    await expect(createRefresher({ sql, views: viewsOfFixture }).start()).rejects.toMatchObject(refused);
  });
});
