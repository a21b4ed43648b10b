import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { count, createRefresher, createViews, defineRollup, defineView } from '../../src/index.ts';
import { testDatabase } from './database.ts';

const database = testDatabase(`
  create table calls (id int generated always as identity primary key, user_id int not null, status text);
  create index on calls (user_id);
`);
const perUser = defineRollup({
  name: 'per_user',
  from: 'calls',
  key: { user_id: 'user_id' },
  measures: { total: count().as('integer') },
});
const native = defineView({
  name: 'native',
  kind: 'materialized',
  query: 'select user_id, count(*)::int as total from calls group by user_id',
  indexes: [{ columns: ['user_id'], unique: true }],
  tenant: 'user_id',
  sources: { calls: { tenant: 'user_id' } },
});

/** Ten thousands of groups are computed in a second, or on a busy machine in many. */
const patienceMs = 100_000;

const marksOf = async (view: string): Promise<{ marks: number; everything: number }> => {
  const [found] = await database.rows<{ marks: number; everything: number }>(
    `select coalesce(sum(n), 0)::int as marks, (count(*) filter (where everything))::int as everything from (
       select 1 as n, everything from only cachekit.mark where view = $1
       union all select coalesce(cardinality(g0), 1), everything from cachekit.per_user__m1 where view = $1) m`,
    [view],
  );
  return found as { marks: number; everything: number };
};
const refreshAll = async (): Promise<void> => {
  const keeper = createRefresher({ sql: database.sql, views: [perUser, native] });
  await keeper.waitFresh('per_user', { timeout: patienceMs });
  await keeper.waitFresh('native', { timeout: patienceMs });
};
const wrong = (): Promise<number> =>
  database.one(`select count(*)::int from (
    (select user_id, count(*)::int from calls group by 1 except select user_id, total from per_user)
    union all (select user_id, total from per_user except select user_id, count(*)::int from calls group by 1)) d`);

beforeAll(async () => {
  await createViews({ sql: database.sql, views: [perUser, native] }).apply();
});
beforeEach(async () => {
  await database.pool.query('truncate calls');
  await refreshAll();
}, 2 * patienceMs);

describe('a transaction of very many rows', { timeout: 4 * patienceMs }, () => {
  it('in one statement writes as many marks as it may, and one that is about everything', async () => {
    await database.pool.query('insert into calls (user_id) select g from generate_series(1, 15000) g');
    expect(await marksOf('per_user')).toEqual({ marks: 10_002, everything: 1 });
    expect(await marksOf('native')).toEqual({ marks: 10_002, everything: 1 });
    await refreshAll();
    expect(await wrong()).toBe(0);
    expect(await marksOf('per_user')).toEqual({ marks: 0, everything: 0 });
  });

  it('in many statements writes no more, however it is cut', async () => {
    await database.pool.query(`begin; do $$ begin
      for i in 0..11 loop insert into calls (user_id) select i * 1000 + g from generate_series(1, 1000) g; end loop;
    end $$; commit`);
    expect(await marksOf('per_user')).toEqual({ marks: 10_002, everything: 1 });
    await refreshAll();
    expect(await wrong()).toBe(0);
    // Marks of single rows are counted once the transaction is old enough for many of them.
    await database.pool.query(`begin; select pg_sleep(0.12); do $$ begin
      for i in 1..11000 loop insert into calls (user_id) values (i); end loop;
    end $$; commit`);
    expect(await marksOf('per_user')).toEqual({ marks: 10_002, everything: 1 });
    expect(await marksOf('native')).toEqual({ marks: 10_002, everything: 1 });
    await refreshAll();
    expect(await wrong()).toBe(0);
  });

  it('keeps the marks that are right when a savepoint takes the others back', async () => {
    const client = await database.client();
    await client.query('begin; savepoint a');
    await client.query('insert into calls (user_id) select g from generate_series(1, 11000) g');
    await client.query('rollback to savepoint a');
    await client.query('insert into calls (user_id) values (1), (2)');
    await client.query('savepoint b; insert into calls (user_id) values (3); release savepoint b; commit');
    expect(await marksOf('per_user')).toEqual({ marks: 3, everything: 0 });
    await refreshAll();
    expect(await wrong()).toBe(0);
    // The next transaction on the same connection begins to count anew.
    await client.query('insert into calls (user_id) select g from generate_series(1, 11000) g');
    await refreshAll();
    await client.query('insert into calls (user_id) values (4)');
    expect(await marksOf('per_user')).toEqual({ marks: 1, everything: 0 });
  });

  it('may mark as many groups of a large rollup as are worth a look each', async () => {
    await database.pool.query('insert into calls (user_id) select g from generate_series(1, 60000) g');
    await refreshAll();
    await database.pool.query('analyze cachekit.per_user__v1');
    await database.pool.query(
      `update calls set user_id = user_id where id in (select id from calls limit 11000)`,
    );
    expect(await marksOf('per_user')).toEqual({ marks: 0, everything: 0 });
    await database.pool.query(`delete from calls where user_id <= 11000`);
    const { marks, everything } = await marksOf('per_user');
    expect(everything).toBe(0);
    expect(marks).toBeGreaterThanOrEqual(11_000);
    const keeper = createRefresher({ sql: database.sql, views: [perUser] });
    const modes: string[] = [];
    keeper.on('refreshed', ({ mode }) => modes.push(mode));
    await keeper.waitFresh('per_user', { timeout: patienceMs });
    expect(modes).toEqual(['partial']);
    expect(await wrong()).toBe(0);
  });

  it('is not believed to have marked everything by a setting that somebody made', async () => {
    const client = await database.client();
    const { rows } = await client.query(
      `select distinct m[1] as name from pg_proc p, regexp_matches(p.prosrc, 'cachekit\\.marks_[0-9a-f]+', 'g') m where p.proname like 'mark_%'`,
    );
    expect(rows.length).toBeGreaterThanOrEqual(2);
    for (const value of ['1:99999999', '1:-1']) {
      for (const { name } of rows) await client.query('select set_config($1, $2, false)', [name, value]);
      await client.query('insert into calls (user_id) values (7)');
      await client.query('insert into calls (user_id) values (8), (9)');
    }
    expect(await marksOf('per_user')).toEqual({ marks: 6, everything: 0 });
    expect(await marksOf('native')).toEqual({ marks: 6, everything: 0 });
  });
});
