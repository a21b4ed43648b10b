import { pgExecutor } from '@cachekit/core/postgres';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { copyingExecutor, createEtl, type Etl, type EtlRisk } from '../../../src/etl/index.ts';
import { createRefresher, createViews, defineView } from '../../../src/index.ts';
import { testDatabase } from '../database.ts';
import { copyOf, nothingWrong, remoteSchema, sources, wrongKeys } from './copy.ts';

const remote = testDatabase(remoteSchema);
const local = testDatabase();
const wrong = (): ReturnType<typeof wrongKeys> => wrongKeys(remote, local);

const started: Etl[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((etl) => etl.stop()));
});

beforeEach(async () => {
  await remote.pool.query(`truncate talks, messages, contacts;
    insert into contacts select i, 'Contact ' || i, '2020-01-01' from generate_series(1, 5) i;
    insert into talks select i, 1 + i % 5, i % 4, '2020-01-01' from generate_series(1, 100) i;
    insert into messages (talk_id, body, updated_at) select 1 + i % 50, 'Message "' || i || '"', '2020-01-01' from generate_series(1, 200) i`);
  await local.pool.query('drop table if exists talks_copy; drop schema if exists cachekit cascade');
});

const installed = async (options: Parameters<typeof copyOf>[2] = {}): Promise<Etl> => {
  const etl = copyOf(remote, local, options);
  await etl.install();
  return etl;
};

describe('a run', () => {
  it('copies everything once and then only what changed, through every table it reads (CW-6)', async () => {
    const etl = await installed();
    expect(await etl.run()).toMatchObject({ read: 100, inserted: 100 });
    expect(await wrong()).toEqual(nothingWrong);
    expect(await etl.run()).toMatchObject({ read: 0 });

    await remote.pool.query(`insert into messages (talk_id, body) values (7, 'new')`);
    expect(await etl.run()).toMatchObject({ read: 1, inserted: 0, updated: 1 });
    await remote.pool.query(
      `update contacts set name = 'Renamed', updated_at = now() at time zone 'UTC' where id = 3`,
    );
    const renamed = await etl.run();
    expect(renamed.updated).toBe(20);
    await remote.pool.query(`insert into talks values (101, 1, 2)`);
    expect(await etl.run()).toMatchObject({ inserted: 1, updated: 0 });
    expect(await wrong()).toEqual(nothingWrong);
  });

  it('leaves the local table its own columns and indexes (CW-6)', async () => {
    await local.pool.query(`create table talks_copy (id bigint primary key, contact text, status int, messages int, bodies jsonb,
      note text, loud boolean generated always as (messages > 3) stored)`);
    const etl = await installed();
    await etl.run();
    await local.pool.query(`update talks_copy set note = 'mine' where id = 7`);
    await remote.pool.query(`insert into messages (talk_id, body) values (7, 'more'), (7, 'and more')`);
    await etl.run();
    expect(await local.rows('select note, loud, messages from talks_copy where id = 7')).toEqual([
      { note: 'mine', loud: true, messages: 6 },
    ]);
  });

  it('carries every value as it is, also where two types print alike', async () => {
    await remote.pool.query(`create table odd (id uuid primary key default gen_random_uuid(), j json, jb jsonb, b bytea,
        n numeric, f float8, ts timestamptz, iv interval, a text[], at timestamptz not null default now());
      insert into odd (j, jb, b, n, f, ts, iv, a) values ('{"a" :  1, "a": 2}', 'null', '\\x00ff', 1e-20, 0.1::float8 + 0.2, 'infinity',
        '1 mon -2 days 00:00:00.000001', array['x', null, '{"', '']), (null, null, null, 'NaN', '-Infinity', null, null, '{}');`);
    const etl = createEtl({
      name: 'odd',
      remote: remote.sql,
      local: local.sql,
      from: 'odd',
      to: 'odd_copy',
      key: 'id',
      sources: { odd: { key: 'id', changed: 'xmin' } },
    });
    await etl.install();
    expect(await etl.run()).toMatchObject({ inserted: 2 });
    expect(await local.rows('select odd_copy::text from odd_copy order by id')).toEqual(
      (await remote.rows<{ odd: string }>('select odd::text from odd order by id')).map(({ odd }) => ({
        odd_copy: odd,
      })),
    );
    expect(await etl.reconcile('rows')).toMatchObject({ missing: 0, surplus: 0, different: 0 });
    await remote.pool.query('drop table odd');
  });

  it('writes values that are equal to those before, but not the same', async () => {
    const values = 'n, f, iv, j, js, p, x';
    await remote.pool.query(`create table alike (id int primary key, n numeric, f float8, iv interval, j jsonb, js json, p point, x xml);
      insert into alike values (1, 1.0, 0, '24 hours', '{"a": 1.0}', '{}', '(0,0)', '<a/>'),
        (2, 5, 5, '5 hours', '5', '5', '(5,5)', '<a>5</a>'), (3, null, null, null, null, null, null, null)`);
    const etl = await installed({
      name: 'alike',
      from: 'alike',
      to: 'alike_copy',
      sources: { alike: { key: 'id', changed: 'xmin' } },
    });
    await etl.run();
    await remote.pool.query(`update alike set n = 1.00, f = '-0', iv = '1 day', j = '{"a": 1.00}', js = '{ }', p = '(-0,0)', x = '<a></a>'
      where id = 1; update alike set n = n`);
    expect(await etl.run()).toMatchObject({ read: 3, updated: 1 });
    const texts = (table: string): string => `select row(${values})::text as row from ${table} order by id`;
    expect(await local.rows(texts('alike_copy'))).toEqual(await remote.rows(texts('alike')));
    expect(await etl.reconcile('rows')).toMatchObject({ different: 0 });
  });

  it('copies columns whatever they are called', async () => {
    const names = [
      'q',
      'r',
      't',
      'v',
      'd',
      'k',
      'l',
      's',
      'u',
      'row',
      'asked',
      'kept',
      'told',
      'excluded',
      'written',
    ];
    await remote.pool.query(`create table letters (id int primary key, ${names.map((name) => `"${name}" int`).join(', ')});
      insert into letters select 1, ${names.map((_, at) => at).join(', ')}`);
    const etl = await installed({
      name: 'letters',
      from: 'letters',
      to: 'letters_copy',
      sources: { letters: { key: 'id', changed: 'xmin' } },
    });
    await etl.run();
    await remote.pool.query(`update letters set q = -1, u = -2`);
    expect(await etl.run()).toMatchObject({ updated: 1 });
    expect(await etl.reconcile('rows')).toMatchObject({ different: 0 });
    expect(await local.rows('select * from letters_copy')).toEqual(
      await remote.rows('select * from letters'),
    );
  });

  it('does not miss a transaction that was running during earlier runs, nor one in a savepoint (CW-6)', async () => {
    const etl = await installed({ skew: 0 });
    await etl.run();
    const slow = await remote.client();
    await slow.query(
      `begin; select 1; savepoint s; insert into messages (talk_id, body) values (9, 'slow'); release s`,
    );
    await remote.pool.query(`insert into messages (talk_id, body) values (8, 'quick')`);
    await etl.run();
    await etl.run();
    await slow.query('commit');
    await etl.run();
    expect(await wrong()).toEqual(nothingWrong);
  });

  it('sees by xmin what left no date, and holds through a transaction that runs long (CW-6)', async () => {
    const xmin = Object.fromEntries(
      Object.entries(sources).map(([name, source]) => [name, { ...source, changed: 'xmin' as const }]),
    );
    const etl = await installed({ sources: xmin });
    await etl.run();
    const slow = await remote.client();
    await slow.query('begin; savepoint s; update talks set status = 3 where id = 1; release s');
    await remote.pool.query('update talks set status = 2 where id = 2');
    await etl.run();
    await slow.query('commit');
    await etl.run();
    expect(await wrong()).toEqual(nothingWrong);
  });

  it('goes by days where the column has no time', async () => {
    await remote.pool.query(
      `create table days (id int primary key, n int, day date not null default (now() at time zone 'UTC'));
       insert into days (id, n) values (1, 1)`,
    );
    const etl = await installed({
      name: 'days',
      from: 'days',
      to: 'days_copy',
      sources: { days: { key: 'id', changed: { column: 'day' } } },
    });
    await etl.run();
    await remote.pool.query('insert into days (id, n) values (2, 2)');
    await etl.run();
    expect(await local.rows('select id from days_copy order by id')).toEqual([{ id: 1 }, { id: 2 }]);
  });

  it('finds deleted keys on both sides of zero and at the ends of what is compared together (CW-6)', async () => {
    const etl = await installed();
    const gone = [-2000, -1999, -1001, -1000, -999, -1, 0, 999, 1000, 1999];
    const kept = gone.map((key) => key + 5_000);
    await remote.pool.query('insert into talks (id) select unnest($1::int[])', [[...gone, ...kept]]);
    await etl.run();
    await remote.pool.query('delete from talks where id = any($1)', [gone]);
    expect(await etl.reconcile('keys')).toMatchObject({
      surplus: gone.length,
      missing: 0,
      deleted: gone.length,
    });
    expect(await wrong()).toEqual(nothingWrong);
    await remote.pool.query('delete from talks where id = any($1)', [kept]);
    await etl.reconcile('keys');
  });

  it('loads in the order of the remote keys, also where the two databases sort them in another way (CW-6)', async () => {
    const kinds = {
      code: ['create domain code as text collate "C"', 'create domain code as text collate "und-x-icu"'],
      size: [`create type size as enum ('a', 'B')`, `create type size as enum ('B', 'a')`],
    } as const;
    for (const [type, [there, here]] of Object.entries(kinds)) {
      const table = `things_${type}`;
      await remote.pool.query(`${there}; create table ${table} (id ${type} primary key);
        insert into ${table} values ('B'), ('a')`);
      await local.pool.query(here);
      const etl = createEtl({
        name: table,
        remote: pgExecutor(remote.pool),
        local: pgExecutor(local.pool),
        from: table,
        to: table,
        key: 'id',
        sources: { [table]: { key: 'id', changed: 'xmin' } },
        maxRows: 1,
      });
      await etl.install();
      await local.pool.query(`insert into ${table} values ('B'), ('a')`);
      await etl.run();
      expect(await local.rows(`select id::text from ${table} order by id::text collate "C"`)).toEqual([
        { id: 'B' },
        { id: 'a' },
      ]);
      await remote.pool.query(`delete from ${table} where id = 'a'`);
      expect(await etl.reconcile('keys')).toMatchObject({ surplus: 1, deleted: 1 });
    }
  });

  it('deletes what is gone when its key comes along, and finds the rest by hashes (CW-6)', async () => {
    const etl = await installed();
    await etl.run();
    await remote.pool.query('delete from talks where id in (5, 60); delete from messages where talk_id = 7');
    await remote.pool.query('update talks set status = 9 where id = 44');
    await etl.run();
    expect(await wrong()).toEqual({ missing: [], surplus: [5, 60], stale: [7, 44] });
    expect(await etl.reconcile('keys')).toMatchObject({ surplus: 2, missing: 0, deleted: 2 });
    expect(await wrong()).toEqual({ missing: [], surplus: [], stale: [7, 44] });
    expect(await etl.reconcile('rows')).toMatchObject({ different: 2, updated: 2 });
    expect(await wrong()).toEqual(nothingWrong);
  });

  it('follows a contact that is merged away, once what it left is compared (CW-6)', async () => {
    const etl = await installed({ sources: { ...sources, talks: { key: 'id', changed: 'xmin' } } });
    await etl.run();
    await remote.pool.query(
      'update talks set contact_id = 1 where contact_id = 2; delete from contacts where id = 2',
    );
    await etl.run();
    expect(await wrong()).toEqual(nothingWrong);
  });

  it('goes on after a crash between its transactions, and misses nothing that changed meanwhile (CW-6)', async () => {
    const etl = await installed({ maxRows: 2_000 });
    await remote.pool.query(
      'insert into talks select i, 1, 0, $$2020-01-01$$ from generate_series(101, 5000) i',
    );
    const crash = new Error('crash');
    const remoteSql = pgExecutor(remote.pool);
    let transactions = 0;
    const crashing = copyOf(remote, local, {
      maxRows: 2_000,
      remote: {
        query: (sql, parameters) => remoteSql.query(sql, parameters),
        transaction: (run) => {
          transactions += 1;
          return transactions === 2 ? Promise.reject(crash) : remoteSql.transaction(run);
        },
      },
    });
    await expect(crashing.run()).rejects.toBe(crash);
    const between = await etl.status();
    expect(between).toMatchObject({
      incomplete: true,
      failures: 1,
      lastError: 'crash',
      freshAsOf: undefined,
    });
    await remote.pool.query(`insert into messages (talk_id, body) values (1, 'during the load')`);
    expect(await etl.run()).toMatchObject({ read: 3000 });
    await etl.run();
    expect(await wrong()).toEqual(nothingWrong);
  });

  it('stops without a failure while another process has the turn', async () => {
    const etl = await installed();
    const other = await local.client();
    await other.query(`begin; select from cachekit.etl for update`);
    const failed = vi.fn();
    etl.on('failed', failed);
    etl.start();
    await etl.stop();
    expect(failed).not.toHaveBeenCalled();
    await other.query('rollback');
  });

  it('is done by one process of all at a time', async () => {
    const etls = [await installed(), await installed(), await installed()];
    await Promise.all(etls.map((etl) => etl.run()));
    const { runs } = await (etls[0] as Etl).status();
    expect(runs.map(({ kind, inserted }) => [kind, inserted])).toEqual([['load', 100]]);
  });

  it('marks the local views, so that only they are refreshed (CW-6)', async () => {
    const etl = await installed();
    await etl.run();
    const view = defineView({
      name: 'mv_by_status',
      kind: 'materialized',
      query: 'select status, count(*)::int as talks from talks_copy group by status',
      indexes: [{ columns: ['status'], unique: true }],
      sources: { talks_copy: {} },
    });
    await createViews({ sql: local.sql, views: [view] }).apply();
    const refresher = createRefresher({ sql: local.sql, views: [view] });
    await refresher.waitFresh('mv_by_status');
    await etl.run();
    expect(await local.one('select count(*)::int from cachekit.mark')).toBe(0);
    await remote.pool.query(`insert into talks values (200, 1, 7)`);
    await etl.run();
    await refresher.waitFresh('mv_by_status');
    expect(await local.one('select talks from mv_by_status where status = 7')).toBe(1);
    await local.pool.query('drop materialized view mv_by_status');
  });

  it('copies everything again from a database that was put in the place of the other', async () => {
    const etl = await installed();
    await etl.run();
    await local.pool.query(`update cachekit.etl set identity = 'another'`);
    await remote.pool.query('delete from talks where id > 90; update talks set status = 8 where id = 1');
    await etl.run();
    expect(await wrong()).toEqual(nothingWrong);
  });
});

describe('a view that changed', () => {
  it('is copied again when it, or one below it, means something else', async () => {
    await remote.pool.query(
      `create view vw_low as select id, status from talks; create view vw_high as select id, status from vw_low`,
    );
    const etl = await installed({ from: 'vw_high' });
    await etl.run();
    await remote.pool.query('create or replace view vw_low as select id, status + 10 as status from talks');
    expect(await etl.run()).toMatchObject({ updated: 100 });
    expect(await etl.run()).toMatchObject({ read: 0 });
    await remote.pool.query('drop view vw_high, vw_low');
  });
});

describe('a table in the place of another', () => {
  it('is copied, however old its rows are', async () => {
    const swap = `alter table swapped rename to before; alter table swapped_new rename to swapped;
      drop view vw_swapped; create view vw_swapped as select * from swapped`;
    await remote.pool.query(`create table swapped (id int primary key, n int); create view vw_swapped as select * from swapped;
      insert into swapped values (1, 1), (2, 2);
      create table swapped_new (id int primary key, n int); insert into swapped_new values (1, 10), (3, 30)`);
    const [table, view] = await Promise.all(
      ['swapped', 'vw_swapped'].map((from) =>
        installed({
          name: from,
          from,
          to: `${from}_copy`,
          sources: { swapped: { key: 'id', changed: 'xmin' } },
        }),
      ),
    );
    await Promise.all([table?.run(), view?.run()]);
    await remote.pool.query(swap);
    for (const etl of [table, view]) {
      expect(await etl?.run()).toMatchObject({ read: 2, inserted: 1, updated: 1, deleted: 1 });
      const again = vi.fn();
      etl?.on('run', again);
      await etl?.run();
      expect(again).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ kind: 'changes', updated: 0 }));
    }
  });
});

describe('schema drift', () => {
  it('stops the copy when a column vanishes, and tells of one that comes', async () => {
    const etl = await installed();
    await etl.run();
    const risks: (readonly EtlRisk[])[] = [];
    etl.on('risks', (event) => risks.push(event.risks));
    await remote.pool.query(`create view vw_more as select *, status * 2 as twice from vw_talks`);
    const more = copyOf(remote, local, { from: 'vw_more' });
    await more.run();
    expect((await more.status()).risks).toMatchObject([{ reason: 'COLUMN_NOT_COPIED' }]);
    expect((await more.status()).atRisk).toBe(false);
    await local.pool.query('alter table talks_copy add column twice int');
    expect(await more.run()).toMatchObject({ read: 100, updated: 100 });
    await remote.pool.query(
      `drop view vw_more; create view vw_more as select id, status, contact from vw_talks`,
    );
    await expect(more.run()).rejects.toMatchObject({
      code: 'REMOTE_SCHEMA_DRIFT',
      differences: expect.arrayContaining([expect.stringContaining('"messages"')]),
    });
    expect(await local.one('select count(*)::int from talks_copy where messages is not null')).toBe(100);
    await remote.pool.query('drop view vw_more');
  });

  it('refuses a local column that cannot hold the remote one', async () => {
    await local.pool.query('create table talks_copy (id int primary key, status text, messages boolean)');
    const etl = await installed();
    await expect(etl.run()).rejects.toMatchObject({
      code: 'REMOTE_SCHEMA_DRIFT',
      differences: [expect.stringContaining('"messages" is integer')],
    });
  });
});

describe('what can be seen', () => {
  it('says that changes may be missed without pg_read_all_stats, and what mends it (CW-8)', async () => {
    await remote.pool.query(`create role etl_reader_${process.pid} login password 'secret';
      grant select on all tables in schema public to etl_reader_${process.pid}`);
    const url = new URL(remote.url);
    url.username = `etl_reader_${process.pid}`;
    url.password = 'secret';
    const pool = new pg.Pool({ connectionString: url.href });
    try {
      const etl = await installed({ remote: pgExecutor(pool) });
      await etl.run();
      expect(await etl.status()).toMatchObject({
        atRisk: true,
        risks: [{ reason: 'PG_READ_ALL_STATS_MISSING' }],
      });
      await remote.pool.query(`grant pg_read_all_stats to etl_reader_${process.pid}`);
      await etl.run();
      expect(await etl.status()).toMatchObject({ atRisk: false, risks: [] });
    } finally {
      await pool.end();
      await remote.pool.query(`drop owned by etl_reader_${process.pid}; drop role etl_reader_${process.pid}`);
    }
  });

  it('goes on answering with the age of the rows while the remote database is away (CW-7, CW-8)', async () => {
    const working = await installed();
    await working.run();
    const nowhere = new pg.Pool({ connectionString: 'postgres://nobody@127.0.0.1:1/none' });
    const etl = copyOf(remote, local, { remote: pgExecutor(nowhere), every: 20 });
    const failed = vi.fn();
    etl.on('failed', failed);
    started.push(etl);
    etl.start();
    await vi.waitFor(() => expect(failed).toHaveBeenCalled(), 10_000);
    expect(failed).toHaveBeenCalledWith(
      expect.objectContaining({ etl: 'talks', failures: 1, retryInMs: expect.any(Number) }),
    );
    const status = await etl.status();
    expect(status).toMatchObject({ failures: 1, lastError: expect.stringContaining('ECONNREFUSED') });
    expect(status.lagMs).toBeGreaterThan(0);
    expect(await local.one('select count(*)::int from talks_copy')).toBe(100);
    await etl.stop();
    await nowhere.end();
    await working.run();
    expect(await working.status()).toMatchObject({ failures: 0, lastError: undefined });
  });

  it('runs by itself, compares when it is due, and says how old the rows are (CW-6, CW-8)', async () => {
    const etl = await installed({ every: 20, reconcile: { keys: 50, rows: false } });
    started.push(etl);
    etl.start();
    await vi.waitFor(async () => expect((await etl.status()).freshAsOf).toBeDefined(), 10_000);
    await remote.pool.query('delete from talks where id = 5');
    await vi.waitFor(async () => expect(await wrong()).toEqual(nothingWrong), 10_000);
    const status = await etl.status();
    expect(status).toMatchObject({
      failures: 0,
      rowsCheckedAt: undefined,
      keysCheckedAt: expect.any(Number),
    });
    expect(status.runs.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['load', 'keys']));
  });
});

describe('rights and keys', () => {
  it('needs nothing locally but the table and the state, once it is installed', async () => {
    await installed();
    const role = `etl_writer_${process.pid}`;
    await local.pool.query(`create role ${role} login password 'secret';
      grant usage on schema cachekit to ${role};
      grant select, insert, update, delete on talks_copy, cachekit.etl, cachekit.etl_source, cachekit.etl_run to ${role}`);
    const url = new URL(local.url);
    url.username = role;
    url.password = 'secret';
    const pool = new pg.Pool({ connectionString: url.href });
    try {
      const etl = copyOf(remote, local, {
        remote: copyingExecutor(remote.pool),
        local: copyingExecutor(pool),
      });
      expect(await etl.run()).toMatchObject({ inserted: 100 });
      await remote.pool.query('delete from talks where id = 5');
      expect(await etl.reconcile('rows')).toMatchObject({ deleted: 1 });
      expect(await etl.status()).toMatchObject({ failures: 0 });
    } finally {
      await pool.end();
      await local.pool.query(`drop owned by ${role}; drop role ${role}`);
    }
  });

  it('copies nothing from a view in which two rows share a key', async () => {
    await remote.pool.query(
      'create view vw_twice as select * from vw_talks union all select * from vw_talks where id = 50',
    );
    const etl = await installed({ from: 'vw_twice' });
    await expect(etl.run()).rejects.toMatchObject({ code: '21000' });
    expect(await local.one('select count(*)::int from talks_copy')).toBe(0);
    await remote.pool.query('drop view vw_twice');
  });
});

describe('install()', () => {
  it('refuses a local table whose key is not unique', async () => {
    await local.pool.query('create table talks_copy (id int, status int)');
    await expect(installed()).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
  });

  it('is needed once', async () => {
    const etl = copyOf(remote, local);
    const never = { code: 'INVALID_CONFIGURATION', message: expect.stringContaining('never installed') };
    await expect(etl.run()).rejects.toMatchObject(never);
    await expect(etl.status()).rejects.toMatchObject(never);
    await installed();
    await installed();
  });
});
