import { pgExecutor } from '@cachekit/core/postgres';
import { uniqueNamespace } from '@cachekit/services/vitest';
import pg from 'pg';
import { afterAll, expect, test } from 'vitest';
import {
  count,
  createRefresher,
  createViews,
  defineRollup,
  defineView,
  type Refresher,
  type RefresherOptions,
  type ViewStatus,
} from '../../src/index.ts';
import { testDatabase } from './database.ts';

const database = testDatabase(`
  create table calls (id int generated always as identity primary key, user_id int not null);
  create table brake (seconds float8, share int);
  insert into brake values (0, 1);
  insert into calls (user_id) select g % 5 from generate_series(1, 100) g;
`);
const perUser = defineRollup({
  name: 'per_user',
  from: 'calls',
  key: { user_id: 'user_id' },
  measures: { total: count().as('integer') },
});
/** As slow as the brake says, and wrong when it divides by nothing. */
const braked = defineView({
  name: 'braked',
  kind: 'materialized',
  query: 'select (select count(*) from calls) / share as total, pg_sleep(seconds)::text as slept from brake',
  sources: { calls: {} },
});
const views = [perUser, braked];
const keeperOf = (options: Partial<RefresherOptions> = {}): Refresher =>
  createRefresher({ sql: database.sql, views, ...options });
const call = (user = 1): Promise<unknown> =>
  database.pool.query('insert into calls (user_id) values ($1)', [user]);
const brake = (seconds: number, share = 1): Promise<unknown> =>
  database.pool.query('update brake set seconds = $1, share = $2', [seconds, share]);

const role = uniqueNamespace();
afterAll(async () => {
  await database.pool.query(`drop owned by ${role} cascade; drop role ${role}`).catch(() => undefined);
});

async function statusOf(view: string, keeper = keeperOf()): Promise<ViewStatus> {
  const found = (await keeper.status()).find((one) => one.view === view);
  if (found === undefined) throw new Error(`${view} was never applied`);
  return found;
}

test('status() counts the refreshes of all processes, the groups they changed and their time (CW-8)', async () => {
  await createViews({ sql: database.sql, views }).apply();
  for (const { name } of views) await keeperOf().waitFresh(name);
  const before = await statusOf('per_user');
  expect(before.runs).toEqual([]);
  const durations: number[] = [];
  for (const keeper of [keeperOf(), keeperOf()]) {
    keeper.on('refreshed', ({ durationMs }) => durations.push(durationMs));
    await call(1);
    await call(2);
    await keeper.waitFresh('per_user');
  }
  await keeperOf().waitFresh('per_user');
  const { totals, lastRunMs } = await statusOf('per_user');
  expect(totals).toMatchObject({
    refreshes: before.totals.refreshes + 2,
    groups: (before.totals.groups ?? 0) + 4,
    failures: 0,
  });
  const took = totals.refreshMs - before.totals.refreshMs;
  expect(took).toBeGreaterThan(lastRunMs ?? Number.POSITIVE_INFINITY);
  expect(took).toBeLessThan((durations[0] ?? 0) + (durations[1] ?? 0) + 100);

  // A change of the definition is none of the counts.
  const { refreshes } = totals;
  const more = defineRollup({
    name: 'per_user',
    from: 'calls',
    key: { user_id: 'user_id' },
    measures: { total: count().as('integer'), calls: count().as('integer') },
  });
  await createViews({ sql: database.sql, views: [more, braked] }).apply();
  await createViews({ sql: database.sql, views }).apply();
  expect((await statusOf('per_user')).totals.refreshes).toBe(refreshes);
  expect((await statusOf('braked')).totals).not.toHaveProperty('groups');
});

test('status() keeps the refreshes that were slow or failed, with the reason, after others succeeded (CW-8)', async () => {
  await keeperOf().waitFresh('braked');
  const { totals } = await statusOf('braked');
  await call();
  await brake(1.1);
  await keeperOf().waitFresh('braked');
  await call();
  await brake(0, 0);
  const began = Date.now();
  await expect(keeperOf().waitFresh('braked')).rejects.toThrow('division by zero');
  await brake(0);
  await keeperOf().waitFresh('braked');
  const after = await statusOf('braked');
  expect(after).toMatchObject({ failures: 0 });
  expect(after.totals).toMatchObject({ refreshes: totals.refreshes + 2, failures: totals.failures + 1 });
  expect(after.totals.refreshMs - totals.refreshMs).toBeGreaterThan(1_100);
  const [failed, slow, ...others] = after.runs;
  expect(others).toEqual([]);
  expect(failed).toEqual({ endedAt: expect.any(Number), error: 'division by zero' });
  expect(Math.abs((failed?.endedAt ?? 0) - began)).toBeLessThan(60_000);
  expect(slow).toEqual({
    endedAt: expect.any(Number),
    mode: 'plain',
    durationMs: expect.any(Number),
    marks: 1,
  });
  expect(slow?.durationMs).toBeGreaterThan(1_100);
});

test('the kept refreshes are the last twenty, and the text of an error has an end (CW-8)', async () => {
  const keeper = keeperOf({ retry: { pauseAfter: Number.POSITIVE_INFINITY } });
  const { totals } = await statusOf('braked');
  await call();
  await brake(0, 0);
  for (let i = 0; i < 25; i++) await expect(keeper.waitFresh('braked')).rejects.toThrow('division by zero');
  const after = await statusOf('braked');
  expect(after.totals.failures).toBe(totals.failures + 25);
  expect(after.runs).toHaveLength(20);
  expect(after.runs.map(({ endedAt }) => endedAt)).toEqual(
    after.runs.map(({ endedAt }) => endedAt).sort((a, b) => b - a),
  );
  await database.pool.query(
    `update cachekit.view set failures = failures + 1, last_error = repeat('x', 9000) where name = 'braked'`,
  );
  expect((await statusOf('braked')).runs[0]?.error).toHaveLength(500);
  await brake(0);
  await keeper.waitFresh('braked');
});

test('a refresher with the rights of grants() and no other counts its failures (CW-8)', async () => {
  await database.pool.query(`create role ${role} login`);
  await database.pool.query(createViews({ sql: database.sql, views }).grants({ refresher: role }));
  const url = new URL(database.url);
  url.username = role;
  const pool = new pg.Pool({ connectionString: url.href, max: 2 });
  const keeper = keeperOf({ sql: pgExecutor(pool) });
  const { totals } = await statusOf('braked', keeper);
  await call();
  await brake(0, 0);
  await expect(keeper.waitFresh('braked')).rejects.toThrow('division by zero');
  await keeper.pause('braked');
  await keeper.resume('braked');
  expect((await statusOf('braked', keeper)).totals.failures).toBe(totals.failures + 1);
  await brake(0);
  await keeper.waitFresh('braked');
  await pool.end();
});
