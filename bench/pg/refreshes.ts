import { pgExecutor } from '@cachekit/core/postgres';
import { createRefresher } from '@cachekit/pg-matviews';
import type pg from 'pg';
import { type Figure, figure } from '../runner/figure.ts';
import { compare } from '../runner/measure.ts';
import { median } from '../runner/median.ts';
import { takeTurns } from '../runner/take-turns.ts';
import { dirty, fill, perDay, perDaySmall, smallUsers, timed } from './calls.ts';
import { withExtension } from './extension.ts';
import type { Scale } from './scale.ts';

/** Refreshing changed groups beside whoever computes all of them, or what changed by their time. */
export async function refreshes(pool: pg.Pool, scale: Scale): Promise<Figure[]> {
  const { users, days, rounds } = scale;
  const small = smallUsers(scale);
  const refresher = createRefresher({ sql: pgExecutor(pool), views: [perDay, perDaySmall] });
  const timescale = await withTimescale(pool, scale);
  // The last is more than what is refreshed group by group.
  const changed = [1, 10, 100, 1_000, Math.round((users * days) / 4)];
  let seed = 0;
  const after = (table: string, owners: number, groups: number, work: () => Promise<unknown>) => async () => {
    await dirty(pool, table, scale, owners, groups, ++seed);
    return timed(work);
  };
  const ways: Record<string, () => Promise<number>> = {
    ...Object.fromEntries(
      changed.map((groups) => [
        `ours${groups}`,
        after('calls', users, groups, () => refresher.waitFresh('per_day')),
      ]),
    ),
    small100: after('small_calls', small, 100, () => refresher.waitFresh('per_day_small')),
    concurrently: after('bare_calls', users, 100, () =>
      pool.query('refresh materialized view concurrently mv_bare'),
    ),
    plain: after('bare_calls', users, 100, () => pool.query('refresh materialized view mv_bare')),
    ...(timescale
      ? {
          timescale: after('hyper_calls', users, 100, () =>
            pool.query(`call refresh_continuous_aggregate('cagg', null, null)`),
          ),
        }
      : {}),
  };
  await takeTurns(ways, { rounds: 1 });
  const took = await takeTurns(ways, { rounds });
  const of = (name: string): readonly number[] => took.get(name) ?? [];
  const exponent = (more: string, less: string, factor: number): number =>
    Math.log(median(of(more)) / median(of(less))) / Math.log(factor);
  const name = (groups: number): string => `refresh of ${groups} changed groups of ${users * days}`;
  return [
    ...changed.map((groups) =>
      figure(
        `${name(groups)} to REFRESH CONCURRENTLY, ms`,
        compare(of(`ours${groups}`), of('concurrently')),
        { of: 'ratio', atMost: groups <= 100 ? 0.01 : groups <= 1_000 ? 0.15 : 1.5 },
      ),
    ),
    figure(`${name(100)} to REFRESH, ms`, compare(of('ours100'), of('plain')), {
      of: 'ratio',
      atMost: 0.02,
    }),
    figure(
      `${name(100)} to a continuous aggregate of TimescaleDB, ms`,
      timescale ? compare(of('ours100'), of('timescale')) : { ours: median(of('ours100')) },
      { of: 'ratio', atMost: 0.034 },
    ),
    figure(
      'refresh of 100 changed groups, exponent in rows of the table',
      { ours: exponent('ours100', 'small100', users / small) },
      { of: 'ours', atMost: 0.3 },
    ),
    figure(
      'refresh, exponent in changed groups (100 to 1,000)',
      { ours: exponent('ours1000', 'ours100', 10) },
      { of: 'ours', atMost: 1.2 },
    ),
  ];
}

async function withTimescale(pool: pg.Pool, scale: Scale): Promise<boolean> {
  const available = await withExtension(pool, 'timescaledb', []);
  if (!available) return false;
  await fill(pool, 'hyper_calls', scale, scale.users);
  return withExtension(pool, 'timescaledb', [
    'alter table hyper_calls drop constraint hyper_calls_pkey',
    `select create_hypertable('hyper_calls', 'start_time', migrate_data => true)`,
    `create materialized view cagg with (timescaledb.continuous) as
       select user_id, time_bucket('1 day', start_time) as date, count(*) as total,
         count(*) filter (where status = 'answered') as answered, count(*) filter (where status = 'failed') as failed,
         sum(duration) as seconds, count(duration) as timed, count(distinct device_id) as devices
       from hyper_calls group by 1, 2`,
  ]);
}
