import type pg from 'pg';
import { type Figure, figure } from '../runner/figure.ts';
import { compare } from '../runner/measure.ts';
import { median } from '../runner/median.ts';
import { takeTurns } from '../runner/take-turns.ts';
import { dirty, measured, smallUsers, timed } from './calls.ts';
import type { Scale } from './scale.ts';

/** Reads of the rollup, of the exact view with 100 changed groups, and of the rows themselves. */
export async function reads(pool: pg.Pool, scale: Scale): Promise<Figure[]> {
  const { users } = scale;
  // As autovacuum does once a minute: the log of marks is long after many refreshes within seconds.
  await pool.query('vacuum');
  await dirty(pool, 'calls', scale, users, 100, 12_345);
  const client = await pool.connect();
  let next = 0;
  const each = (often: number, query: (user: number) => pg.QueryConfig) => async (): Promise<number> => {
    const first = next++ * often;
    const ms = await timed(async () => {
      for (let i = 0; i < often; i++) await client.query(query(1 + ((first + i) % users)));
    });
    return ms / often;
  };
  const ofUser = (relation: string, prepared = false) =>
    each(20, (user) => ({
      ...(prepared ? { name: relation } : {}),
      text: `select * from ${relation} where user_id = $1`,
      values: [user],
    }));
  const ways = {
    rollup: ofUser('per_day'),
    live: ofUser('per_day_live'),
    preparedRollup: ofUser('per_day', true),
    preparedLive: ofUser('per_day_live', true),
    raw: ofUser(`(${measured('calls')}) r`),
    small: each(20, (user) => ({
      text: 'select * from per_day_small where user_id = $1',
      values: [1 + (user % smallUsers(scale))],
    })),
    totals: each(2, () => ({ text: 'select date, sum(total) from per_day group by 1' })),
    liveTotals: each(2, () => ({ text: 'select date, sum(total) from per_day_live group by 1' })),
    rawTotals: each(1, () => ({
      text: `select (start_time at time zone 'UTC')::date, count(*) from calls group by 1`,
    })),
  };
  try {
    await takeTurns(ways, { rounds: 1 });
    const took = await takeTurns(ways, { rounds: 9 });
    const of = (name: keyof typeof ways): readonly number[] => took.get(name) ?? [];
    const beside = (name: string, ours: keyof typeof ways, peer: keyof typeof ways, atMost: number): Figure =>
      figure(`${name}, ms`, compare(of(ours), of(peer)), { of: 'ratio', atMost });
    return [
      beside(
        'exact read of one user, 100 groups changed, to the same from the rollup',
        'live',
        'rollup',
        1.3,
      ),
      beside(
        'the same as prepared statements, which are not planned again',
        'preparedLive',
        'preparedRollup',
        1.3,
      ),
      beside('exact read of one user, 100 groups changed, to the query over the rows', 'live', 'raw', 0.125),
      beside(
        'exact totals per day, 100 groups changed, to the query over the rows',
        'liveTotals',
        'rawTotals',
        0.2,
      ),
      beside('read of one user from the rollup to the query over the rows', 'rollup', 'raw', 0.1),
      beside('totals per day from the rollup to the query over the rows', 'totals', 'rawTotals', 0.02),
      figure(
        'read of one user from the rollup, exponent in rows of the table',
        {
          ours: Math.log(median(of('rollup')) / median(of('small'))) / Math.log(users / smallUsers(scale)),
        },
        { of: 'ours', atMost: 0.3 },
      ),
    ];
  } finally {
    client.release();
  }
}
