import type { SqlExecutor } from '@cachekit/core';
import { pgExecutor } from '@cachekit/core/postgres';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createEtl, type Etl, type EtlGap, type EtlRisk } from '../../../src/etl/index.ts';
import { testDatabase } from '../database.ts';
import { copyOf, nothingWrong, remoteSchema, slotSources, uniqueSlot, wrongKeys } from './copy.ts';

const remote = testDatabase(`${remoteSchema} alter table messages replica identity full;`);
const local = testDatabase();
const wrong = (): ReturnType<typeof wrongKeys> => wrongKeys(remote, local);
const slot = uniqueSlot();

interface Watched {
  readonly etl: Etl;
  readonly gaps: EtlGap['reason'][];
  readonly kinds: string[];
}

const watched = (etl: Etl): Watched => {
  const gaps: EtlGap['reason'][] = [];
  const kinds: string[] = [];
  etl.on('gap', ({ reason }) => gaps.push(reason));
  etl.on('run', ({ kind }) => kinds.push(kind));
  return { etl, gaps, kinds };
};

const copy = (options: Parameters<typeof copyOf>[2] = {}): Watched =>
  watched(copyOf(remote, local, { sources: slotSources, slot, ...options }));

async function loaded(options: Parameters<typeof copyOf>[2] = {}): Promise<Watched> {
  const made = copy(options);
  await made.etl.install();
  await made.etl.run();
  made.gaps.length = 0;
  made.kinds.length = 0;
  return made;
}

const confirmed = (): Promise<string> =>
  remote.one(
    `select confirmed_flush_lsn::text from pg_replication_slots where slot_name = '${slot}' and database = current_database()`,
  );

/** The remote database, where a statement is another one, or fails. */
function bent(part: string, bend: (sql: string) => string): SqlExecutor {
  const wrap = (sql: SqlExecutor): SqlExecutor => ({
    query: async (text, parameters) => sql.query(text.includes(part) ? bend(text) : text, parameters),
    transaction: (run) => sql.transaction((transaction) => run(wrap(transaction))),
  });
  return wrap(remote.sql);
}

beforeEach(async () => {
  await remote.pool.query(`truncate talks, messages, contacts;
    insert into contacts select i, 'Contact ' || i, '2020-01-01' from generate_series(1, 5) i;
    insert into talks select i, 1 + i % 5, i % 4, '2020-01-01' from generate_series(1, 100) i;
    insert into messages (talk_id, body, updated_at) select 1 + i % 50, 'Message ' || i, '2020-01-01' from generate_series(1, 200) i`);
  await local.pool.query('drop table if exists talks_copy; drop schema if exists cachekit cascade');
});
afterEach(async () => {
  await copy().etl.dropSlot();
});

describe('a copy by a logical slot', () => {
  it('finds inserts, updates without a date, moved keys and deletes, and reads nothing else (CW-6)', async () => {
    const { etl, gaps, kinds } = await loaded();
    expect(await wrong()).toEqual(nothingWrong);
    expect(await etl.run()).toMatchObject({ read: 0 });
    await remote.pool.query('update talks set status = 9 where id = 3');
    expect(await etl.run()).toMatchObject({ read: 1, updated: 1 });
    await remote.pool.query(`insert into messages (talk_id, body) values (7, 'new')`);
    expect(await etl.run()).toMatchObject({ read: 1, updated: 1 });
    await remote.pool.query(
      `update messages set talk_id = 60 where id = (select min(id) from messages where talk_id = 8)`,
    );
    expect(await etl.run()).toMatchObject({ read: 2, updated: 2 });
    await remote.pool.query('delete from messages where talk_id = 9');
    expect(await etl.run()).toMatchObject({ read: 1, updated: 1 });
    await remote.pool.query('update talks set id = 501 where id = 11');
    expect(await etl.run()).toMatchObject({ inserted: 1, deleted: 1 });
    await remote.pool.query('delete from talks where id = 12');
    expect(await etl.run()).toMatchObject({ read: 0, deleted: 1 });
    await remote.pool.query(`update contacts set name = 'Renamed' where id = 3`);
    expect((await etl.run()).updated).toBeGreaterThan(10);
    expect(await wrong()).toEqual(nothingWrong);
    expect(new Set(kinds)).toEqual(new Set(['changes']));
    expect(gaps).toEqual([]);
  });

  it('tells nothing of what was rolled back, and waits for what is not committed, however long (CW-6)', async () => {
    const { etl } = await loaded();
    const slow = await remote.client();
    await slow.query(`begin; savepoint a; update talks set status = 7 where id = 1; release a;
      savepoint b; update talks set status = 7 where id = 2; rollback to b`);
    await remote.pool.query('update talks set status = 8 where id = 3');
    await remote.pool.query(
      `do $$ begin update talks set status = 8 where id = 4; raise 'no'; exception when others then null; end $$`,
    );
    expect(await etl.run()).toMatchObject({ read: 1, updated: 1 });
    expect(await etl.run()).toMatchObject({ read: 0 });
    await slow.query('commit');
    expect(await etl.run()).toMatchObject({ read: 1, updated: 1 });
    expect(await wrong()).toEqual(nothingWrong);
  });

  it('reads everything again after a TRUNCATE, once, and says so (CW-6)', async () => {
    const { etl, gaps, kinds } = await loaded();
    await remote.pool.query('truncate messages; update talks set status = 5 where id = 5');
    await etl.run();
    expect(gaps).toEqual(['truncate']);
    expect(await wrong()).toEqual(nothingWrong);
    expect(await etl.run()).toMatchObject({ read: 0 });
    expect(gaps).toEqual(['truncate']);
    expect(kinds).toEqual(['load', 'changes']);
  });

  it('goes on through a column that comes, in the table and in the view (CW-6)', async () => {
    const { etl, gaps } = await loaded();
    await remote.pool.query(`update talks set status = 4 where id = 1; alter table talks add column extra text default 'x';
      update talks set status = 5, extra = 'y' where id = 2; alter table talks drop column extra; update talks set status = 6 where id = 3`);
    expect(await etl.run()).toMatchObject({ updated: 3 });
    expect(await wrong()).toEqual(nothingWrong);
    expect(gaps).toEqual([]);
  });

  it('reads a long backlog in transactions of about maxRows, and a long transaction in one (CW-6)', async () => {
    const { etl, kinds } = await loaded({ maxRows: 40 });
    for (let i = 1; i <= 30; i++) await remote.pool.query('update talks set status = 20 where id = $1', [i]);
    await remote.pool.query('update talks set status = 21');
    const before = await confirmed();
    await etl.run();
    expect(kinds.length).toBeGreaterThan(2);
    expect(kinds).not.toContain('load');
    expect(await confirmed()).not.toBe(before);
    expect(await wrong()).toEqual(nothingWrong);
    expect((await etl.status()).incomplete).toBe(false);
  });

  it('lets the server forget what others write meanwhile (CW-6)', async () => {
    const { etl } = await loaded();
    await remote.pool.query(
      'create table beside (id int); insert into beside select generate_series(1, 1000)',
    );
    const before = await confirmed();
    await etl.run();
    expect(await confirmed()).not.toBe(before);
    await remote.pool.query('drop table beside');
  });

  it('leaves to the next run what its snapshot does not show (CW-6)', async () => {
    // The change is committed between the snapshot and the reading of the slot, and so told too early.
    let late: (() => Promise<unknown>) | undefined = () =>
      remote.pool.query(
        'update talks set status = 30 where id = 1; update talks set status = 31 where id = 2',
      );
    const wrap = (sql: SqlExecutor): SqlExecutor => ({
      async query(text, parameters) {
        if (text.includes('DECLARE cachekit_slot')) await late?.();
        return sql.query(text, parameters);
      },
      transaction: (run) => sql.transaction((transaction) => run(wrap(transaction))),
    });
    const run = late;
    late = undefined;
    const { etl } = await loaded({ remote: wrap(remote.sql) });
    late = run;
    expect(await etl.run()).toMatchObject({ read: 0 });
    late = undefined;
    expect(await etl.run()).toMatchObject({ updated: 2 });
    expect(await wrong()).toEqual(nothingWrong);
  });

  it('goes by partitions as one table, and by other ways beside the slot (CW-6)', async () => {
    await remote.pool.query(`create table parted (id int, day int, note text, primary key (id, day)) partition by list (day);
      create table parted_1 partition of parted for values in (1);
      create table parted_2 partition of parted for values in (2);
      create view per_id as select p.id, count(*)::int as days, max(coalesce(b.name, p.note)) as name from parted p left join contacts b on b.id = p.id group by p.id;
      insert into parted select i, 1, 'n' from generate_series(1, 20) i`);
    const etl = createEtl({
      name: 'parted',
      remote: remote.sql,
      local: local.sql,
      from: 'per_id',
      to: 'per_id_copy',
      key: 'id',
      slot: `${slot}_parted`,
      sources: { parted: { key: 'id', changed: 'slot' }, contacts: { key: 'id', changed: 'xmin' } },
    });
    await etl.install();
    await etl.run();
    await remote.pool.query(`insert into parted values (1, 2, 'n'); update parted set day = 2 where id = 2; delete from parted where id = 3;
      update contacts set name = 'by xmin' where id = 4`);
    expect(await etl.run()).toMatchObject({ updated: 2, deleted: 1 });
    const truth = (sql: typeof remote, from: string) => sql.rows(`select * from ${from} order by id`);
    expect(await truth(local, 'per_id_copy')).toEqual(await truth(remote, 'per_id'));
    await remote.pool.query('truncate parted_2');
    await etl.run();
    const after = await truth(local, 'per_id_copy');
    await etl.dropSlot();
    expect(after).toEqual(await truth(remote, 'per_id'));
    await remote.pool.query('drop view per_id; drop table parted');
  });
});

describe('a process that dies', () => {
  it('between the commit of the rows and the slot loses and doubles nothing (CW-6)', async () => {
    const { etl } = await loaded();
    await local.pool.query(`create table written (id int, status int);
      create function note() returns trigger language plpgsql as $$ begin insert into written values (new.id, new.status); return new; end $$;
      create trigger note after update on talks_copy for each row execute function note()`);
    await remote.pool.query('update talks set status = 40 where id = 1');
    const before = await confirmed();
    const dying = copy({ remote: bent('pg_replication_slot_advance', () => 'select 1 / 0') });
    await dying.etl.run();
    expect(await confirmed()).toBe(before);
    await remote.pool.query('update talks set status = 41 where id = 2');
    await etl.run();
    expect(await confirmed()).not.toBe(before);
    expect(await wrong()).toEqual(nothingWrong);
    expect(await local.rows('select * from written order by id')).toEqual([
      { id: 1, status: 40 },
      { id: 2, status: 41 },
    ]);
    await local.pool.query('drop table talks_copy; drop function note; drop table written');
  });

  it('before the commit of the rows leaves the slot where it was (CW-6)', async () => {
    const { etl } = await loaded();
    await remote.pool.query('update talks set status = 50 where id = 1');
    const before = await confirmed();
    const failing = copy({
      local: {
        query: local.sql.query.bind(local.sql),
        transaction: (run) =>
          local.sql.transaction(async (transaction) => {
            await run(transaction);
            throw new Error('The power is gone');
          }),
      },
    });
    await expect(failing.etl.run()).rejects.toThrow('The power is gone');
    expect(await confirmed()).toBe(before);
    expect(await etl.run()).toMatchObject({ updated: 1 });
    expect(await wrong()).toEqual(nothingWrong);
  });
});

describe('a slot that does not tell everything', () => {
  const changeUnseen = () =>
    remote.pool.query('update talks set status = 60 where id = 1; delete from talks where id = 2');

  it('is a gap when it was dropped: it is made again and everything read (CW-6)', async () => {
    const { etl, gaps } = await loaded();
    await remote.pool.query(`select pg_drop_replication_slot('${slot}')`);
    await changeUnseen();
    await etl.run();
    expect(gaps).toEqual(['slot']);
    expect(await wrong()).toEqual(nothingWrong);
    await remote.pool.query('update talks set status = 61 where id = 3');
    expect(await etl.run()).toMatchObject({ read: 1, updated: 1 });
    expect(gaps).toEqual(['slot']);
  });

  it('is a gap when somebody else reads it, or made it anew (CW-6)', async () => {
    const { etl, gaps } = await loaded();
    await changeUnseen();
    await remote.pool.query(
      `select count(*) from pg_logical_slot_get_binary_changes('${slot}', null, null, 'proto_version', '1', 'publication_names', '${slot}')`,
    );
    await etl.run();
    expect(gaps).toEqual(['slot']);
    expect(await wrong()).toEqual(nothingWrong);
    await remote.pool.query(`select pg_drop_replication_slot('${slot}')`);
    await remote.pool.query('update talks set status = 62 where id = 3');
    await remote.pool.query(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
    await etl.run();
    expect(gaps).toEqual(['slot', 'slot']);
    expect(await wrong()).toEqual(nothingWrong);
  });

  it('is a gap when its publication was another one at the time of the change (CW-6)', async () => {
    const { etl, gaps } = await loaded();
    const { rows } = await remote.pool.query(
      `select string_agg(quote_ident(tablename), ', ') as tables from pg_publication_tables where pubname = '${slot}'`,
    );
    await remote.pool.query(`drop publication ${slot}`);
    await expect(etl.run()).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
    await changeUnseen();
    await remote.pool.query(`create publication ${slot} for table ${rows[0].tables}`);
    await etl.run();
    expect(gaps).toEqual(['slot']);
    expect(await wrong()).toEqual(nothingWrong);
  });

  it('is a gap when a table was not published for a while (CW-6)', async () => {
    const { etl, gaps } = await loaded();
    await remote.pool.query(`alter publication ${slot} drop table talks`);
    await changeUnseen();
    await remote.pool.query(`alter publication ${slot} add table talks`);
    await etl.run();
    expect(gaps).toEqual(['slot']);
    expect(await wrong()).toEqual(nothingWrong);
  });

  it('is read again as a whole when old rows come without what leads to the key (CW-6)', async () => {
    const { etl, gaps } = await loaded();
    await remote.pool.query('alter table messages replica identity default');
    await remote.pool.query('delete from messages where talk_id = 4');
    await etl.run();
    expect(gaps).toEqual(['identity']);
    expect(await wrong()).toEqual(nothingWrong);
    await expect(etl.install()).rejects.toThrow(/REPLICA IDENTITY FULL/);
    await remote.pool.query('alter table messages replica identity full');
  });

  it('begins anew when a source changes its way to it (CW-6)', async () => {
    const xmin = { ...slotSources, talks: { key: 'id', changed: 'xmin' as const } };
    await loaded({ sources: xmin });
    const { etl, kinds } = copy();
    await remote.pool.query('update talks set status = 70 where id = 1');
    await etl.install();
    await etl.run();
    expect(kinds).toEqual(['load']);
    expect(await wrong()).toEqual(nothingWrong);
  });
});

describe('a slot that is not permitted', () => {
  it('needs wal_level = logical, which install(), run() and the status say (CW-8)', async () => {
    const at = bent("current_setting('wal_level')", (sql) =>
      sql.replace("current_setting('wal_level')", "'replica'::text"),
    );
    await expect(copy({ remote: at }).etl.install()).rejects.toThrow(/wal_level = logical/);
    await loaded();
    const { etl } = copy({ remote: at });
    const told: EtlRisk['reason'][] = [];
    etl.on('risks', ({ risks }) => told.push(...risks.map(({ reason }) => reason)));
    await expect(etl.run()).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
    expect(await etl.status()).toMatchObject({ atRisk: true, risks: [{ reason: 'SLOT_UNAVAILABLE' }] });
    expect(told).toEqual(['SLOT_UNAVAILABLE']);
    await copy().etl.run();
    expect((await etl.status()).atRisk).toBe(false);
  });

  it('needs REPLICATION, which run() and the status say (CW-8)', async () => {
    await loaded();
    const role = `${slot}_role`;
    await remote.pool.query(
      `create role ${role} login; grant select on all tables in schema public to ${role}`,
    );
    const url = new URL(remote.url);
    url.username = role;
    const pool = new pg.Pool({ connectionString: url.href });
    try {
      await remote.pool.query('update talks set status = 80 where id = 1');
      const { etl } = copy({ remote: pgExecutor(pool) });
      await expect(etl.run()).rejects.toThrow(/REPLICATION/);
      expect(await etl.status()).toMatchObject({ atRisk: true, risks: [{ reason: 'SLOT_UNAVAILABLE' }] });
      await remote.pool.query(`alter role ${role} replication`);
      expect(await etl.run()).toMatchObject({ updated: 1 });
    } finally {
      await pool.end();
      await remote.pool.query(`drop owned by ${role}; drop role ${role}`);
    }
  });

  it('is never taken from another database or plugin (CW-6)', async () => {
    await local.pool.query(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
    await expect(copy().etl.install()).rejects.toThrow(/another database/);
    await copy().etl.dropSlot();
    expect(
      await local.one(`select count(*)::int from pg_replication_slots where slot_name = '${slot}'`),
    ).toBe(1);
    await local.pool.query(`select pg_drop_replication_slot('${slot}')`);
  });

  it('tells in its status what the server keeps for it, and is gone after dropSlot() (CW-8)', async () => {
    const { etl } = await loaded();
    await remote.pool.query('update talks set status = 90');
    await etl.run();
    const status = await etl.status();
    expect(status.slot).toMatchObject({ name: slot, walStatus: 'reserved' });
    expect(status.slot?.retainedBytes).toBeGreaterThan(0);
    expect(status.risks.map(({ reason }) => reason)).toContain('SLOT_WITHOUT_LIMIT');
    expect(status.atRisk).toBe(false);
    await etl.dropSlot();
    await etl.dropSlot();
    expect(
      await remote.one(`select count(*)::int from pg_replication_slots where slot_name = '${slot}'`),
    ).toBe(0);
    expect(await remote.one(`select count(*)::int from pg_publication where pubname = '${slot}'`)).toBe(0);
    await expect(etl.run()).rejects.toThrow(/call install\(\)/);
    expect(
      await remote.one(`select count(*)::int from pg_replication_slots where slot_name = '${slot}'`),
    ).toBe(0);
  });

  it('refuses options that are none', () => {
    expect(() => copy({ slot: 'No Name' })).toThrow(/slot is a name/);
    expect(() => copyOf(remote, local, { slot: 'unused' })).toThrow(/no source/);
  });
});
