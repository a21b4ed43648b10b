import { type ChangeEvent, isCacheKitError } from '@cachekit/core';
import { parseQualifiedName, pgExecutor, quoteIdentifier } from '@cachekit/core/postgres';
import { useDatabase } from '@cachekit/services/vitest';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { changeSource, installCapture, uninstallCapture } from '../../src/postgres/index.ts';

const database = useDatabase();
let pool: pg.Pool;

beforeAll(async () => {
  pool = new pg.Pool({ connectionString: database.url, max: 10 });
  await pool.query(`
    create table calls (id bigint primary key, user_id uuid, status text, duration int, note text, raw json);
    create table devices (user_id int not null, serial text not null, password text, status text,
      unique (user_id, serial));
    create schema app;
    create table app.teams (id int primary key);
    create table app.members (id int primary key, team int references app.teams on delete cascade,
      joined timestamptz default '2026-01-01 00:00+00');
    create table parts (id int, day date, tenant text, primary key (id, day)) partition by range (day);
    create table parts_1 partition of parts for values from ('2026-01-01') to ('2026-02-01');
    create table parts_2 partition of parts for values from ('2026-02-01') to ('2026-03-01');
    create table "Odd ""name"".x" ("The Key" int primary key, "tenant'" text)`);
  await installCapture(pgExecutor(pool), {
    tables: {
      calls: { key: ['id'], tenant: 'user_id' },
      devices: { key: ['user_id', 'serial'], tenant: 'user_id', columns: ['status'] },
      'app.teams': {},
      'app.members': { tenant: 'team' },
      parts: { tenant: 'tenant' },
      '"Odd ""name"".x"': { tenant: "tenant'" },
    },
  });
});
afterAll(() => pool.end());
beforeEach(() => pool.query('truncate cachekit.change'));

const t1 = '00000000-0000-0000-0000-000000000001';
const t2 = '00000000-0000-0000-0000-000000000002';

interface Captured {
  tenant: string | null;
  source: string;
  operation: string;
  key: object;
  old: object | null;
  new: object | null;
  moved: boolean | null;
}

async function captured(): Promise<Captured[]> {
  const { rows } = await pool.query(
    'select tenant, source, operation, key, old, new, moved from cachekit.change order by seq',
  );
  return rows;
}

async function summary(): Promise<string[]> {
  return (await captured()).map((row) => `${row.operation} ${JSON.stringify(row.key)} ${row.tenant}`);
}

describe('one row for each changed row', () => {
  test('insert, update and delete carry the tenant, the key and the rows before and after', async () => {
    await pool.query(`insert into calls values (1, '${t1}', 'ringing', 0, null, '{"a": 1}')`);
    await pool.query("update calls set status = 'answered' where id = 1");
    await pool.query('delete from calls where id = 1');
    const row = { id: 1, user_id: t1, status: 'ringing', duration: 0, note: null, raw: { a: 1 } };
    const answered = { ...row, status: 'answered' };
    const common = { tenant: t1, source: 'calls', key: { id: 1 }, moved: null };
    expect(await captured()).toEqual([
      { ...common, operation: 'insert', old: null, new: row },
      { ...common, operation: 'update', old: row, new: answered },
      { ...common, operation: 'delete', old: answered, new: null },
    ]);
  });

  test('a statement over many rows captures each, and an update that changes nothing captures nothing', async () => {
    await pool.query(`insert into calls select n, '${t1}', 'new', n from generate_series(1, 1000) n`);
    await pool.query('truncate cachekit.change');
    await pool.query("update calls set status = case when id <= 10 then 'answered' else status end");
    expect(await summary()).toHaveLength(10);
    await pool.query('truncate cachekit.change');
    await pool.query("update calls set status = 'x' where id < 0");
    expect(await captured()).toEqual([]);
    await pool.query('truncate calls, cachekit.change');
  });

  test('a row that moves to another tenant leaves the one and enters the other', async () => {
    await pool.query(`insert into calls values (1, '${t1}', 'a', 0)`);
    await pool.query('truncate cachekit.change');
    await pool.query(`update calls set user_id = '${t2}', status = 'b'`);
    expect(await captured()).toMatchObject([
      { tenant: t1, operation: 'delete', moved: true, old: { user_id: t1, status: 'a' }, new: null },
      { tenant: t2, operation: 'insert', moved: true, old: null, new: { user_id: t2, status: 'b' } },
    ]);
    await pool.query('truncate cachekit.change');
    await pool.query('update calls set user_id = null');
    await pool.query(`update calls set user_id = '${t1}'`);
    expect((await captured()).map((row) => [row.operation, row.tenant, row.moved])).toEqual([
      ['delete', t2, true],
      ['insert', null, true],
      ['delete', null, true],
      ['insert', t1, true],
    ]);
    await pool.query('truncate calls');
  });

  test('a row that gets another key is a delete and an insert', async () => {
    await pool.query(`insert into app.teams values (1)`);
    await pool.query('insert into app.members values (1, 1)');
    await pool.query('truncate cachekit.change');
    await pool.query('update app.members set id = 5');
    expect(await summary()).toEqual(['delete {"id":1} 1', 'insert {"id":5} 1']);
    await pool.query('truncate cachekit.change, app.members, app.teams');
  });

  test('only the chosen columns leave the table, and only their changes count', async () => {
    await pool.query("insert into devices values (7, 's', 'secret', 'online')");
    await pool.query("update devices set password = 'other'");
    await pool.query("update devices set status = 'offline'");
    const rows = await captured();
    expect(rows.map((row) => row.operation)).toEqual(['insert', 'update']);
    expect(rows[1]).toMatchObject({
      tenant: '7',
      key: { user_id: 7, serial: 's' },
      old: { user_id: 7, serial: 's', status: 'online' },
      new: { user_id: 7, serial: 's', status: 'offline' },
    });
    expect(JSON.stringify(rows)).not.toContain('secret');
    await pool.query('truncate devices');
  });

  test('names that need quotes are captured like any other', async () => {
    await pool.query(`insert into "Odd ""name"".x" values (1, 'it''s')`);
    expect(await captured()).toMatchObject([
      { source: '"Odd ""name"".x"', tenant: "it's", key: { 'The Key': 1 }, new: { "tenant'": "it's" } },
    ]);
  });
});

describe('every kind of statement', () => {
  test('ON CONFLICT captures what it inserted and what it updated', async () => {
    await pool.query(`insert into calls values (1, '${t1}', 'a', 0)`);
    await pool.query('truncate cachekit.change');
    await pool.query(`insert into calls values (1, '${t1}', 'b', 0), (2, '${t1}', 'b', 0)
      on conflict (id) do update set status = excluded.status`);
    expect((await summary()).sort()).toEqual([`insert {"id":2} ${t1}`, `update {"id":1} ${t1}`]);
    await pool.query('truncate cachekit.change');
    await pool.query(`insert into calls values (1, '${t1}') on conflict do nothing`);
    expect(await captured()).toEqual([]);
    await pool.query('truncate calls');
  });

  test('MERGE captures inserts, updates and deletes', async () => {
    await pool.query(`insert into calls values (1, '${t1}', 'a'), (2, '${t1}', 'a')`);
    await pool.query('truncate cachekit.change');
    await pool.query(`merge into calls c using (values (1, 'x'), (2, 'drop'), (3, 'new')) v (id, status) on c.id = v.id
      when matched and v.status = 'drop' then delete
      when matched then update set status = v.status
      when not matched then insert (id, user_id, status) values (v.id, '${t1}', v.status)`);
    expect((await summary()).sort()).toEqual([
      `delete {"id":2} ${t1}`,
      `insert {"id":3} ${t1}`,
      `update {"id":1} ${t1}`,
    ]);
    await pool.query('truncate calls');
  });

  test('a foreign key that cascades captures the rows it deletes', async () => {
    await pool.query('insert into app.teams values (1), (2)');
    await pool.query('insert into app.members select n, 1 + n % 2 from generate_series(1, 4) n');
    await pool.query('truncate cachekit.change');
    await pool.query('delete from app.teams where id = 1');
    expect((await summary()).sort()).toEqual([
      'delete {"id":1} null',
      'delete {"id":2} 1',
      'delete {"id":4} 1',
    ]);
    await pool.query('delete from app.teams');
  });

  test('partitions are captured through the parent, directly, and when a row moves between them', async () => {
    await pool.query("insert into parts values (1, '2026-01-05', 'a')");
    await pool.query("insert into parts_2 values (2, '2026-02-05', 'a')");
    await pool.query("update parts set day = '2026-02-06' where id = 1");
    await pool.query('delete from parts_2 where id = 2');
    expect(await summary()).toEqual([
      'insert {"id":1,"day":"2026-01-05"} a',
      'insert {"id":2,"day":"2026-02-05"} a',
      'delete {"id":1,"day":"2026-01-05"} a',
      'insert {"id":1,"day":"2026-02-06"} a',
      'delete {"id":2,"day":"2026-02-05"} a',
    ]);
    await pool.query('truncate parts');
  });

  test('TRUNCATE arrives as a gap between the changes before and after it', async () => {
    const seen: string[] = [];
    const source = changeSource({ sql: pgExecutor(pool), name: 'truncate' });
    await source.start({
      batch: async (changes) => {
        seen.push(...changes.map((change) => String(change.key.id)));
      },
      gap: async (reason) => {
        seen.push(reason);
      },
    });
    const client = await pool.connect();
    await client.query('begin');
    await client.query(`insert into calls values (1, '${t1}')`);
    await client.query('truncate calls');
    await client.query(`insert into calls values (2, '${t1}')`);
    await client.query('commit');
    client.release();
    await expect.poll(() => seen, { timeout: 10_000 }).toEqual(['1', 'source', '2']);
    await source.stop();
    await pool.query('truncate calls');
  });

  test('rows that roll back, wholly or to a savepoint, are not captured', async () => {
    const client = await pool.connect();
    await client.query('begin');
    await client.query(`insert into calls values (1, '${t1}')`);
    await client.query('savepoint a');
    await client.query(`insert into calls values (2, '${t1}')`);
    await client.query('rollback to savepoint a');
    await client.query(`insert into calls values (3, '${t1}')`);
    await client.query('commit');
    await client.query(`begin; insert into calls values (4, '${t1}'); rollback`);
    client.release();
    expect(await summary()).toEqual([`insert {"id":1} ${t1}`, `insert {"id":3} ${t1}`]);
    await pool.query('truncate calls');
  });
});

describe("the user's writes go on", () => {
  test('by a role that may only insert, under another search_path, time zone and isolation level', async () => {
    await pool.query('create role writer_only; grant insert on calls to writer_only');
    const client = await pool.connect();
    try {
      await client.query(`set role writer_only; set search_path = app; set timezone = 'Asia/Tokyo'`);
      await client.query(`insert into public.calls values (1, '${t1}')`);
      await client.query(
        `begin isolation level serializable; insert into public.calls values (2, '${t1}'); commit`,
      );
      // The role cannot reach what the trigger writes to.
      await expect(client.query('select from cachekit.change')).rejects.toMatchObject({ code: '42501' });
    } finally {
      await client.query('reset role');
      client.release(true);
    }
    expect(await summary()).toEqual([`insert {"id":1} ${t1}`, `insert {"id":2} ${t1}`]);
    await pool.query('truncate calls; drop owned by writer_only; drop role writer_only');
  });

  test('RT-3 with rows of 100 kB and of any script, and ids beyond what a double holds', async () => {
    const note = '🟢 naïve \\ "quoted" 電話 '.repeat(4_000);
    expect(Buffer.byteLength(note)).toBeGreaterThan(100_000);
    const seen: ChangeEvent[] = [];
    const source = changeSource({ sql: pgExecutor(pool), name: 'large' });
    await source.start({
      batch: async (changes) => {
        seen.push(...changes);
      },
      gap: async () => undefined,
    });
    await pool.query('insert into calls values ($1, $2, $3, 1, $4)', ['9007199254740993', t1, 'x', note]);
    await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(1);
    expect(seen[0]?.new?.note).toBe(note);
    expect(seen[0]?.key).toEqual({ id: '9007199254740993' });
    expect(Math.abs((seen[0]?.at ?? 0) - Date.now())).toBeLessThan(60_000);
    await source.stop();
    await pool.query('truncate calls');
  });

  test('by a session with functions of its own in front of those of PostgreSQL, and with another time zone', async () => {
    await pool.query(`create schema evil;
      create function evil.to_jsonb(anyelement) returns jsonb language plpgsql as $$
        begin raise exception 'ran as %', current_user; end $$`);
    const client = await pool.connect();
    await client.query(`set search_path = evil, app, pg_catalog; set timezone = 'Asia/Tokyo'`);
    await client.query('insert into members (id) values (1)');
    client.release(true);
    expect(await captured()).toMatchObject([{ new: { id: 1, joined: '2026-01-01T00:00:00+00:00' } }]);
    await pool.query('drop schema evil cascade; truncate app.members');
  });

  test('when a captured column is renamed or dropped: each statement is a gap until the capture has the new names', async () => {
    const sql = pgExecutor(pool);
    await pool.query('create table moving (id int primary key, tenant text, status text)');
    await installCapture(sql, { tables: { moving: { tenant: 'tenant', columns: ['status'] } } });
    await pool.query(
      'alter table moving rename tenant to owner; alter table moving rename id to number; alter table moving drop status',
    );
    await pool.query("insert into moving values (1, 'a'), (2, 'a')");
    await pool.query("update moving set owner = 'b'");
    await pool.query('delete from moving where number = 1');
    await pool.query('truncate moving');
    expect(await summary()).toEqual(Array.from({ length: 4 }, () => 'truncate {} null'));
    await pool.query('truncate cachekit.change');
    await installCapture(sql, { tables: { moving: { tenant: 'owner' } } });
    await pool.query("insert into moving values (3, 'a')");
    expect(await summary()).toEqual(['insert {"number":3} a']);
    await pool.query('drop table moving');
  });

  test('with json that jsonb cannot hold: the statement is a gap', async () => {
    await pool.query(`create domain app.document as json;
      create table documents (id int primary key, body app.document, pages json[])`);
    await installCapture(pgExecutor(pool), { tables: { documents: {} } });
    await pool.query(`insert into documents values (1, '{"a": 1}', '{"{\\"b\\": 2}"}')`);
    expect(await captured()).toMatchObject([
      { operation: 'insert', new: { body: { a: 1 }, pages: [{ b: 2 }] } },
    ]);
    await pool.query('truncate cachekit.change');
    await pool.query(`insert into documents values (2, '"\\u0000"')`);
    await pool.query('insert into documents (id, pages) values ($1, $2)', [3, ['1e1000000']]);
    await pool.query("update documents set body = '1' where id = 1");
    expect(await summary()).toEqual(['truncate {} null', 'truncate {} null', 'update {"id":1} null']);
    await pool.query('drop table documents; drop domain app.document');
  });

  test('of a table whose columns have the names that the trigger uses itself', async () => {
    await pool.query(
      'create table letters (r int primary key, n int, o int, c int, readable boolean, tenant text, key text)',
    );
    await installCapture(pgExecutor(pool), { tables: { letters: { tenant: 'tenant' } } });
    const row = { r: 1, n: 2, o: 3, c: 4, readable: false, tenant: 'a', key: 'k' };
    await pool.query("insert into letters values (1, 2, 3, 4, false, 'a', 'k')");
    await pool.query('update letters set n = 5');
    await pool.query('delete from letters');
    const after = { ...row, n: 5 };
    expect(await captured()).toMatchObject([
      { tenant: 'a', operation: 'insert', key: { r: 1 }, old: null, new: row },
      { tenant: 'a', operation: 'update', key: { r: 1 }, old: row, new: after },
      { tenant: 'a', operation: 'delete', key: { r: 1 }, old: after, new: null },
    ]);
    await pool.query('drop table letters');
  });

  test('of a table with generated columns, also such as are computed at every read', async () => {
    const { rows: versions } = await pool.query(
      `select current_setting('server_version_num')::int as version`,
    );
    const kind = versions[0].version >= 180_000 ? 'virtual' : 'stored';
    await pool.query(`create table sales (id int primary key, readable int, t int,
      tenant text generated always as ('u' || readable) ${kind}, share int generated always as (100 / t) ${kind})`);
    const sql = pgExecutor(pool);
    await installCapture(sql, { tables: { sales: { tenant: 'tenant' } } });
    await pool.query('insert into sales values (1, 7, 4)');
    await pool.query('update sales set t = 5');
    const row = { id: 1, readable: 7, t: 4, tenant: 'u7', share: 25 };
    const after = { ...row, t: 5, share: 20 };
    expect(await captured()).toMatchObject([
      { tenant: 'u7', operation: 'insert', key: { id: 1 }, old: null, new: row },
      { tenant: 'u7', operation: 'update', key: { id: 1 }, old: row, new: after },
    ]);
    await pool.query('truncate cachekit.change');
    await installCapture(sql, { tables: { sales: { columns: ['share'] } } });
    if (kind === 'virtual') await pool.query('insert into sales values (2, 7, 0)');
    await pool.query('delete from sales where id = 1');
    const gap = kind === 'virtual' ? [{ operation: 'truncate' }] : [];
    expect(await captured()).toMatchObject([
      ...gap,
      { operation: 'delete', key: { id: 1 }, old: { id: 1, share: 20 } },
    ]);
    await pool.query('drop table sales');
  });

  test('where the outbox was dropped; nothing is told', async () => {
    const own = await pool.connect();
    await own.query('begin');
    await own.query('drop table cachekit.change');
    await own.query(
      "insert into calls values (1); update calls set status = 'a'; delete from calls; truncate calls",
    );
    await own.query('rollback');
    own.release();
  });
});

test('the same value is the same text from every session', async () => {
  await pool.query(
    'create table texts (id int primary key, ratio float8, took interval, bytes bytea, day date, at timestamptz)',
  );
  await installCapture(pgExecutor(pool), { tables: { texts: { tenant: 'day' } } });
  const client = await pool.connect();
  await client.query(`set extra_float_digits = -10; set intervalstyle = 'sql_standard'; set bytea_output = 'escape';
    set datestyle = 'German'; set timezone = 'Asia/Tokyo'`);
  await client.query(
    "insert into texts values (1, 0.1::float8 + 0.2, '1 day 02:00', '\\x00ff', '2026-01-02', '2026-01-02 00:00+00')",
  );
  client.release(true);
  expect(await captured()).toMatchObject([
    {
      tenant: '2026-01-02',
      new: {
        ratio: 0.1 + 0.2,
        took: '1 day 02:00:00',
        bytes: '\\x00ff',
        at: '2026-01-02T00:00:00+00:00',
      },
    },
  ]);
  await pool.query('drop table texts');
});

describe('installing', () => {
  test('again changes nothing and takes no lock, also for a role that may not create anything', async () => {
    const holder = await pool.connect();
    await holder.query('begin; lock table app.members in access exclusive mode');
    await installCapture(pgExecutor(pool), {
      tables: { 'app.members': { tenant: 'team' } },
      lockTimeout: 50,
    });
    await holder.query('rollback');
    holder.release();
  });

  test('steps back from a writer and tries again, and says 55P03 when it never gets the lock', async () => {
    await pool.query('create table busy (id int primary key)');
    const writer = await pool.connect();
    await writer.query('begin; insert into busy values (1)');
    const sql = pgExecutor(pool);
    const installing = installCapture(sql, { tables: { busy: {} }, lockTimeout: '100ms' });
    // While it waits, another writer is let through between two attempts.
    await pool.query('insert into busy values (2)');
    await writer.query('commit');
    await installing;
    await pool.query('truncate cachekit.change');
    await pool.query('insert into busy values (3)');
    expect(await summary()).toEqual(['insert {"id":3} null']);

    await uninstallCapture(sql, { tables: ['busy'] });
    await writer.query('begin; insert into busy values (4)');
    let pauses = 0;
    const clock = {
      now: () => Date.now(),
      setTimeout: (run: () => void) => {
        pauses += 1;
        return setImmediate(run);
      },
      clearTimeout: () => undefined,
    };
    await expect(installCapture(sql, { tables: { busy: {} }, lockTimeout: 20, clock })).rejects.toMatchObject(
      {
        code: '55P03',
      },
    );
    expect(pauses).toBe(5);
    await writer.query('rollback');
    writer.release();
  });

  test('waits for a lock as long as it was told, whatever timeout its role has for statements', async () => {
    await pool.query('create table patient (id int primary key)');
    const hurried = new pg.Pool({ connectionString: database.url, options: '-c statement_timeout=2000' });
    const writer = await pool.connect();
    await writer.query('begin; insert into patient values (1)');
    const installing = installCapture(pgExecutor(hurried), {
      tables: { patient: {} },
      lockTimeout: '20s',
    });
    const waiting = `select from pg_locks where not granted and relation = 'patient'::regclass
      and clock_timestamp() - waitstart > interval '2200 ms'`;
    await expect.poll(async () => (await pool.query(waiting)).rowCount).toBe(1);
    await writer.query('commit');
    writer.release();
    await installing;
    await hurried.end();
    await pool.query('truncate cachekit.change');
    await pool.query('insert into patient values (2)');
    expect(await summary()).toEqual(['insert {"id":2} null']);
    await pool.query('drop table patient');
  });

  test('by four processes at once works', async () => {
    await pool.query('create table together (id int primary key, tenant text)');
    const pools = Array.from({ length: 4 }, () => new pg.Pool({ connectionString: database.url, max: 2 }));
    await Promise.all(
      pools.map((each) => installCapture(pgExecutor(each), { tables: { together: { tenant: 'tenant' } } })),
    );
    await Promise.all(pools.map((each) => each.end()));
    await pool.query("insert into together values (1, 'a')");
    expect(await summary()).toEqual(['insert {"id":1} a']);
  });

  test('with another definition takes effect, and uninstalling ends it', async () => {
    const sql = pgExecutor(pool);
    await pool.query('create table changing (id int primary key, tenant text, other text)');
    await installCapture(sql, { tables: { changing: {} } });
    await installCapture(sql, { tables: { changing: { tenant: 'tenant', columns: ['other'] } } });
    await pool.query("insert into changing values (1, 'a', 'x')");
    expect(await captured()).toMatchObject([{ tenant: 'a', new: { id: 1, other: 'x' } }]);
    await uninstallCapture(sql, { tables: ['changing'] });
    await uninstallCapture(sql, { tables: ['changing', 'never_captured'] });
    await pool.query("insert into changing values (2, 'a', 'x')");
    expect(await captured()).toHaveLength(1);
  });

  test('again mends what kept rows from being told, with a gap, and leaves what is no part of the table any more alone', async () => {
    const sql = pgExecutor(pool);
    const tables = { split: { key: ['id', 'half'] } };
    await pool.query(`
      create table split (id int, half int, primary key (id, half)) partition by list (half);
      create table split_1 partition of split for values in (1);
      create table split_2 partition of split for values in (2)`);
    await installCapture(sql, { tables });
    await pool.query('alter table split_1 disable trigger cachekit_capture_insert');
    await pool.query('insert into split_1 values (0, 1)');
    await installCapture(sql, { tables });
    await pool.query('insert into split_1 values (1, 1)');
    expect(await summary()).toEqual(['truncate {} null', 'insert {"id":1,"half":1} null']);
    await pool.query('truncate cachekit.change; create table split_3 partition of split for values in (3)');
    await installCapture(sql, { tables });
    await pool.query('insert into split_3 values (1, 3)');
    expect(await summary()).toEqual(['insert {"id":1,"half":3} null']);

    await pool.query('alter table split detach partition split_2');
    await installCapture(sql, { tables });
    await pool.query('insert into split_2 values (2, 2)');
    expect(await summary()).toHaveLength(1);

    await pool.query(
      'alter table split rename to split_before; create table split (like split_before including all)',
    );
    await installCapture(sql, { tables });
    await pool.query('insert into split_before values (3, 1); insert into split values (4, 1)');
    expect((await summary()).slice(1)).toEqual(['truncate {} null', 'insert {"id":4,"half":1} null']);
    await pool.query('drop table split, split_2, split_before');
  });

  test.each([
    [{ nowhere: {} }, 'there is no table "nowhere"'],
    [{ 'app.nowhere': {} }, 'there is no table "app.nowhere"'],
    [{ calls: { key: ['nope'] } }, 'has no column "nope"'],
    [{ calls: { tenant: 'nope' } }, 'has no column "nope"'],
    [{ calls: { columns: ['nope'] } }, 'has no column "nope"'],
    [{ calls: { key: ['user_id'] } }, 'can be null'],
    [{ devices: {} }, 'has no primary key'],
    [{ devices: { key: ['serial'] } }, 'does not identify a row'],
    [{ calls: { keys: ['id'] } }, 'unknown option "keys"'],
    [{ a_view: {} }, 'is no table'],
    [{ calls: {}, 'public.calls': {} }, 'are the same table'],
    [{ parts: {}, parts_1: {} }, 'is a partition of the other'],
    [{}, 'at least one table'],
  ])('refuses %j', async (tables, message) => {
    await pool.query('create or replace view a_view as select 1 as id');
    const failure = await installCapture(pgExecutor(pool), { tables: tables as never }).catch(
      (error) => error,
    );
    expect(isCacheKitError(failure, 'INVALID_CONFIGURATION')).toBe(true);
    expect(failure.message).toContain(message);
  });
});

test('a quoted name is read back as the name that was quoted', () => {
  expect(parseQualifiedName(`app.${quoteIdentifier('x.y')}`)).toEqual({ schema: 'app', name: 'x.y' });
});
