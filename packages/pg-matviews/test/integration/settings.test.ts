import { pgExecutor } from '@cachekit/core/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  count,
  createDoctor,
  createRefresher,
  createViews,
  defineRollup,
  defineView,
  type ViewDefinition,
} from '../../src/index.ts';
import { testDatabase } from './database.ts';

const database = testDatabase(`
  create table calls (id serial primary key, user_id int not null, start_time timestamptz not null, took interval not null,
    ratio float8 not null, token bytea not null, note text);
  create index on calls (ratio, token, took);
  insert into calls (user_id, start_time, took, ratio, token)
    select 1 + i % 3, '2026-01-01 22:00+00', '1 day 02:00', 0.1::float8 + 0.2, '\\x00ff' from generate_series(1, 9) i`);

const views: readonly ViewDefinition[] = [
  defineView({
    name: 'texts',
    kind: 'materialized',
    query: `select user_id, start_time::date::text as day, took::text as took, ratio::text as ratio, token::text as token,
      '\\d' as pattern, '\\x00ff'::bytea as bytes, count(*) filter (where note = null) as never
      from calls group by 1, 2, 3, 4, 5`,
    indexes: [{ columns: ['user_id'], unique: true }],
    sources: { calls: {} },
  }),
  defineRollup({
    name: 'per_ratio',
    from: 'calls',
    key: { ratio: 'ratio', token: 'token', took: 'took' },
    measures: { total: count() },
  }),
];
const key = { ratio: 0.1 + 0.2, token: '\\x00ff', took: '1 day 02:00:00' };
const text = {
  day: '2026-01-01',
  took: '1 day 02:00:00',
  ratio: '0.30000000000000004',
  token: '\\x00ff',
  pattern: '\\d',
  bytes: '00ff',
  never: '0',
};
const rowsSql = `select user_id, day, took, ratio, token, pattern, encode(bytes, 'hex') as bytes, never from texts order by 1`;
const rows = [1, 2, 3].map((user) => ({ user_id: user, ...text }));

/** What a role or a database may have been given. */
const settings = [
  'quote_all_identifiers=on',
  'standard_conforming_strings=off',
  'transform_null_equals=on',
  'bytea_output=escape',
  'extra_float_digits=-5',
  'DateStyle=German',
  'IntervalStyle=sql_standard',
  'TimeZone=Asia/Tokyo',
  'plpgsql.extra_errors=all',
];
let pool: pg.Pool;
beforeAll(() => {
  const options = settings.map((setting) => `-c ${setting}`).join(' ');
  pool = new pg.Pool({ connectionString: database.url, options });
});
afterAll(() => pool.end());

const write = (user: number): Promise<unknown> =>
  database.pool.query(
    `insert into calls (user_id, start_time, took, ratio, token)
     values ($1, '2026-01-01 22:00+00', '1 day 02:00', 0.1::float8 + 0.2, '\\x00ff')`,
    [user],
  );

describe('whatever settings a role was given', () => {
  it('apply() takes the same from a definition', async () => {
    await createViews({ sql: pgExecutor(pool), views }).apply();
    expect(await database.rows(rowsSql)).toEqual(rows);
    for (const sql of [pgExecutor(pool), database.sql]) {
      const catalog = createViews({ sql, views });
      expect((await catalog.plan()).map(({ action }) => action)).toEqual(['unchanged', 'unchanged']);
      expect(await catalog.check()).toEqual([]);
    }
  });

  it('a refresh stores and tells the same, by a refresher and from SQL', async () => {
    const keeper = createRefresher({ sql: pgExecutor(pool), views });
    const client = await pool.connect();
    const refreshes: readonly ((view: string) => Promise<unknown>)[] = [
      (view) => keeper.waitFresh(view),
      (view) => client.query('select cachekit.refresh($1)', [view]),
    ];
    for (const [user, refresh] of refreshes.entries()) {
      await database.pool.query('truncate cachekit.view_change');
      await write(user + 1);
      await refresh('texts');
      await refresh('per_ratio');
      expect(await database.rows(rowsSql)).toEqual(rows);
      const told = `select key from cachekit.view_change where source = 'per_ratio'`;
      expect(await database.rows(told)).toEqual([{ key }]);
    }
    client.release(true);
    expect(await keeper.reconcile('per_ratio')).toMatchObject({ groups: 1, healed: 0 });
  });

  it('a writer marks what changed in the last digit', async () => {
    const keeper = createRefresher({ sql: database.sql, views });
    const live = `select ratio, total from per_ratio_live order by 1`;
    const raw = `select ratio, count(*) as total from calls group by 1 order by 1`;
    for (const change of [
      'ratio = 0.3 where user_id = 1',
      'ratio = 0.3 where user_id in (2, 3)',
      'ratio = 0.1::float8 + 0.2',
    ]) {
      await pool.query(`update calls set ${change}`);
      expect(await database.rows(live), change).toEqual(await database.rows(raw));
      await keeper.waitFresh('texts');
      expect(await database.one(`select string_agg(distinct ratio, ' ') from texts`), change).toBe(
        await database.one(`select string_agg(distinct ratio::text, ' ') from calls`),
      );
    }
  });

  it('the doctor finds the same', async () => {
    const [found, plain] = await Promise.all(
      [pgExecutor(pool), database.sql].map(async (sql) =>
        (await createDoctor({ sql, views }).examine()).map(({ defect, object }) => [defect, object]),
      ),
    );
    expect(found).toEqual(plain);
  });

  it('apply() takes as long as it needs', async () => {
    const hurried = new pg.Pool({ connectionString: database.url, options: '-c statement_timeout=1000' });
    const slow = defineView({
      name: 'slow',
      kind: 'materialized',
      query: 'select 1 as one from pg_sleep(1.2)',
    });
    await createViews({ sql: pgExecutor(hurried), views: [slow], schema: 'slowly' }).apply();
    await hurried.end();
    expect(await database.rows('select * from slowly.slow')).toEqual([{ one: 1 }]);
  });
});
