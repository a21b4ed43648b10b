import { pgExecutor } from '@cachekit/core/postgres';
import {
  bucket,
  count,
  countDistinct,
  createRefresher,
  createViews,
  defineRollup,
  sum,
} from '@cachekit/pg-matviews';
import type pg from 'pg';
import type { Scale } from './scale.ts';

/** What the rollup, the materialized view and the raw query all compute. */
export const measured = (calls: string): string =>
  `select user_id, (start_time at time zone 'UTC')::date as date, count(*) as total,
     count(*) filter (where status = 'answered') as answered, count(*) filter (where status = 'failed') as failed,
     sum(duration) as seconds, count(duration) as timed, count(distinct device_id) as devices
   from ${calls} group by 1, 2`;

const rollupOver = (name: string, from: string) =>
  defineRollup({
    name,
    from,
    key: { user_id: 'user_id', date: bucket('start_time', 'day', { timeZone: 'UTC' }) },
    measures: {
      total: count(),
      answered: count().where(`status = 'answered'`),
      failed: count().where(`status = 'failed'`),
      seconds: sum('duration'),
      timed: count('duration'),
      devices: countDistinct('device_id'),
    },
    tenant: 'user_id',
  });

/** Over `calls`. */
export const perDay = rollupOver('per_day', 'calls');
/** Over `small_calls`, a quarter of it. */
export const perDaySmall = rollupOver('per_day_small', 'small_calls');

/** `calls` under a rollup, the same `bare_calls` under a materialized view without triggers, and `small_calls`. */
export async function prepareCalls(pool: pg.Pool, scale: Scale): Promise<void> {
  await fill(pool, 'calls', scale, scale.users);
  await fill(pool, 'bare_calls', scale, scale.users);
  await fill(pool, 'small_calls', scale, smallUsers(scale));
  await pool.query(`create materialized view mv_bare as ${measured('bare_calls')}`);
  await pool.query('create unique index on mv_bare (user_id, date)');
  await createViews({ sql: pgExecutor(pool), views: [perDay, perDaySmall] }).apply();
  await pool.query('vacuum analyze');
}

/** Users of `small_calls`. */
export function smallUsers({ users }: Scale): number {
  return Math.max(1, Math.round(users / 4));
}

/** Creates a table of calls of so many users, the same ones every time. */
export async function fill(pool: pg.Pool, table: string, scale: Scale, users: number): Promise<void> {
  await pool.query(`create table ${table} (id bigint generated always as identity primary key, user_id int not null,
    start_time timestamptz not null, status text not null, duration int, device_id int)`);
  await pool.query(
    `insert into ${table} (user_id, start_time, status, duration, device_id)
     select 1 + g % $2, timestamptz '2026-01-01 00:00Z' + (g / $2) % $3 * interval '1 day' + (g * 37 % 86400) * interval '1 second',
       (array['answered', 'completed', 'failed'])[1 + g % 3], case when g % 3 < 2 then g % 600 end, g % 20
     from generate_series(0, $1::int - 1) g`,
    [Math.round((scale.rows * users) / scale.users), users, scale.days],
  );
  await pool.query(`create index on ${table} (user_id, start_time)`);
}

/** Adds one row to each of so many groups, other ones for another seed. */
export async function dirty(
  pool: pg.Pool,
  table: string,
  { days }: Scale,
  users: number,
  groups: number,
  seed: number,
): Promise<void> {
  // The factor is a prime, so the groups are different ones.
  await pool.query(
    `insert into ${table} (user_id, start_time, status, duration, device_id)
     select 1 + at % $1::int, timestamptz '2026-01-01 12:00Z' + at / $1::int * interval '1 day', 'answered', 5, 1
     from generate_series(1, $2::int) g cross join lateral (select ((g + $3::bigint * 131) * 7919 % ($1::int * $4::int))::int as at) a`,
    [users, groups, seed, days],
  );
}

/** Whoever was fast and left something out would win. */
export async function expectExact(pool: pg.Pool): Promise<void> {
  await createRefresher({ sql: pgExecutor(pool), views: [perDay] }).waitFresh('per_day');
  for (const view of ['per_day', 'per_day_live']) {
    const { rows: wrong } = await pool.query(
      `(select * from ${view} except all ${measured('calls')}) union all (${measured('calls')} except all select * from ${view}) limit 1`,
    );
    if (wrong.length > 0) throw new Error(`${view} does not hold what its query gives`);
  }
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}
