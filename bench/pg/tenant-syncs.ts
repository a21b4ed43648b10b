import { pgExecutor } from '@cachekit/core/postgres';
import { createRefresher } from '@cachekit/pg-matviews';
import pg from 'pg';
import { type Figure, figure } from '../runner/figure.ts';
import { compare } from '../runner/measure.ts';
import { quantile } from '../runner/quantile.ts';
import { takeTurns } from '../runner/take-turns.ts';
import { perDay, timed } from './calls.ts';
import type { Scale } from './scale.ts';

const tenants = 20;

/** Twenty tenants store fifty rows each at the same time, and each waits until the view holds them. */
export async function tenantSyncs(url: string, scale: Scale): Promise<Figure[]> {
  const pool = new pg.Pool({ connectionString: url, max: tenants + 2 });
  pool.on('error', () => {});
  const refresher = createRefresher({ sql: pgExecutor(pool), views: [perDay] });
  const sync = async (table: string, tenant: number, fresh: () => Promise<unknown>): Promise<void> => {
    await pool.query(
      `insert into ${table} (user_id, start_time, status, duration, device_id)
       select $1, timestamptz '2026-03-01 12:00Z' + g % 5 * interval '1 day', 'answered', 5, 1 from generate_series(1, 50) g`,
      [tenant],
    );
    await fresh();
  };
  const all = (table: string, fresh: () => Promise<unknown>) => (): Promise<number> =>
    timed(() =>
      Promise.all(Array.from({ length: tenants }, (_, at) => sync(table, 1 + (at % scale.users), fresh))),
    );
  const ways = {
    ours: all('calls', () => refresher.waitFresh('per_day')),
    peer: all('bare_calls', () => pool.query('refresh materialized view concurrently mv_bare')),
  };
  try {
    await refresher.waitFresh('per_day');
    await ways.ours();
    const took = await takeTurns(ways, { rounds: 3 });
    return [
      figure(
        `${tenants} syncs at once, each until it is fresh, to a REFRESH CONCURRENTLY each, ms in all`,
        compare(took.get('ours') ?? [], took.get('peer') ?? []),
        { of: 'ratio', atMost: 0.01 },
      ),
      await pauses(pool, refresher.waitFresh.bind(refresher, 'per_day')),
    ];
  } finally {
    await refresher.stop();
    await pool.end();
  }
}

/** The longest a reader takes while refreshes follow each other. */
async function pauses(pool: pg.Pool, refresh: () => Promise<unknown>): Promise<Figure> {
  const longest =
    (table: string, view: string, work: () => Promise<unknown>) => async (): Promise<number> => {
      let going = true;
      const reading = (async () => {
        const took: number[] = [];
        while (going) {
          took.push(await timed(() => pool.query(`select * from ${view} where user_id = 1`)));
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
        return quantile(took, 1);
      })();
      for (const until = performance.now() + 1_000; performance.now() < until; ) {
        await pool.query(
          `insert into ${table} (user_id, start_time, status, duration, device_id) values (1, '2026-03-01 12:00Z', 'answered', 5, 1)`,
        );
        await work();
      }
      going = false;
      return reading;
    };
  const took = await takeTurns(
    {
      ours: longest('calls', 'per_day', refresh),
      peer: longest('bare_calls', 'mv_bare', () => pool.query('refresh materialized view mv_bare')),
    },
    { rounds: 3 },
  );
  return figure(
    'longest read of one user while it is refreshed to that under REFRESH, ms',
    compare(took.get('ours') ?? [], took.get('peer') ?? []),
    { of: 'ours', atMost: 50 },
  );
}
