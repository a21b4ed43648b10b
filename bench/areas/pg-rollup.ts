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
import pg from 'pg';
import { cpuUsOf } from '../runner/backend-cpu.ts';
import { type Figure, figure } from '../runner/figure.ts';
import { compare } from '../runner/measure.ts';
import { median } from '../runner/median.ts';
import { quantile } from '../runner/quantile.ts';
import { shuffle } from '../runner/shuffle.ts';

/** `CACHEKIT_BENCH_ROWS=5000000` takes a longer table. */
const rows = Number(process.env.CACHEKIT_BENCH_ROWS ?? 1_000_000);
const days = 90;
/** So that there are 45,000 groups at a million rows, and always as many rows in a group. */
const users = Math.round((500 * rows) / 1_000_000);
const rounds = 5;

const measured = (calls: string): string =>
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
const perDay = rollupOver('per_day', 'calls');
const perDaySmall = rollupOver('per_day_small', 'small_calls');

/** Rollups beside REFRESH, and beside nothing at all. */
export async function rollups(url: string): Promise<Figure[]> {
  const pool = new pg.Pool({ connectionString: url, max: 8 });
  pool.on('error', () => {});
  try {
    await fill(pool, 'calls', users);
    await fill(pool, 'bare_calls', users);
    await fill(pool, 'small_calls', Math.max(1, Math.round(users / 4)));
    await pool.query(`create materialized view mv_bare as ${measured('bare_calls')}`);
    await pool.query('create unique index on mv_bare (user_id, date)');
    await createViews({ sql: pgExecutor(pool), views: [perDay, perDaySmall] }).apply();
    await pool.query('vacuum analyze');
    const figures = [
      ...(await refreshes(pool)),
      ...(await liveReads(pool)),
      ...(await writes(url)),
      ...(await freshness(url, pool)),
    ];
    await expectExact(pool);
    return figures;
  } finally {
    await pool.end();
  }
}

async function fill(pool: pg.Pool, table: string, owners: number): Promise<void> {
  await pool.query(`create table ${table} (id bigint generated always as identity primary key, user_id int not null,
    start_time timestamptz not null, status text not null, duration int, device_id int)`);
  await pool.query(
    `insert into ${table} (user_id, start_time, status, duration, device_id)
     select 1 + g % $2, timestamptz '2026-01-01 00:00Z' + (g / $2) % $3 * interval '1 day' + (g * 37 % 86400) * interval '1 second',
       (array['answered', 'completed', 'failed'])[1 + g % 3], case when g % 3 < 2 then g % 600 end, g % 20
     from generate_series(0, $1::int - 1) g`,
    [Math.round((rows * owners) / users), owners, days],
  );
  await pool.query(`create index on ${table} (user_id, start_time)`);
}

/** Changes one row in each of `groups` groups. */
async function dirty(
  pool: pg.Pool,
  table: string,
  owners: number,
  groups: number,
  seed: number,
): Promise<void> {
  await pool.query(
    `insert into ${table} (user_id, start_time, status, duration, device_id)
     select 1 + (g * 7919 + $3) % $1, timestamptz '2026-01-01 12:00Z' + (g * 13 + $3) % ${days} * interval '1 day', 'answered', 5, 1
     from generate_series(1, $2::int) g`,
    [owners, groups, seed],
  );
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

async function refreshes(pool: pg.Pool): Promise<Figure[]> {
  const refresher = createRefresher({ sql: pgExecutor(pool), views: [perDay, perDaySmall] });
  const fresh = (groups: number, view: string, table: string, owners: number, seed: number) => async () => {
    await dirty(pool, table, owners, groups, seed);
    return timed(() => refresher.waitFresh(view));
  };
  const bare = (verb: string, seed: number) => async () => {
    await dirty(pool, 'bare_calls', users, 100, seed);
    return timed(() => pool.query(`refresh materialized view ${verb} mv_bare`));
  };
  const small = Math.max(1, Math.round(users / 4));
  const took: Record<string, number[]> = {};
  for (let round = -1; round < rounds; round++) {
    const works: Record<string, () => Promise<number>> = {
      ours100: fresh(100, 'per_day', 'calls', users, round),
      ours1000: fresh(1_000, 'per_day', 'calls', users, round),
      small100: fresh(100, 'per_day_small', 'small_calls', small, round),
      concurrently: bare('concurrently', round),
      plain: bare('', round),
    };
    for (const name of shuffle(Object.keys(works), Math.random)) {
      const ms = await (works[name] as () => Promise<number>)();
      // The first round warms up.
      if (round >= 0) took[name] = [...(took[name] ?? []), ms];
    }
  }
  const of = (name: string): number[] => took[name] as number[];
  const exponent = (more: string, less: string, factor: number): number =>
    Math.log(median(of(more)) / median(of(less))) / Math.log(factor);
  return [
    figure(
      `refresh of 100 changed groups of ${users * days} to REFRESH CONCURRENTLY, ms`,
      compare(of('ours100'), of('concurrently')),
      {
        of: 'ratio',
        atMost: 0.01,
      },
    ),
    figure(
      `refresh of 100 changed groups of ${users * days} to REFRESH, ms`,
      compare(of('ours100'), of('plain')),
      {
        of: 'ratio',
        atMost: 0.02,
      },
    ),
    figure(
      'refresh of 100 changed groups, exponent in rows of the table',
      { ours: exponent('ours100', 'small100', users / small) },
      {
        of: 'ours',
        atMost: 0.3,
      },
    ),
    figure(
      'refresh, exponent in changed groups (100 to 1,000)',
      { ours: exponent('ours1000', 'ours100', 10) },
      {
        of: 'ours',
        atMost: 1.2,
      },
    ),
  ];
}

async function liveReads(pool: pg.Pool): Promise<Figure[]> {
  await dirty(pool, 'calls', users, 100, 12_345);
  const reads: Record<string, (user: number) => string> = {
    rollup: (user) => `select * from per_day where user_id = ${user}`,
    live: (user) => `select * from per_day_live where user_id = ${user}`,
    raw: (user) => `select * from (${measured('calls')}) r where user_id = ${user}`,
    rollupTotals: () => 'select date, sum(total) from per_day group by 1',
    rawTotals: () => `select (start_time at time zone 'UTC')::date, count(*) from calls group by 1`,
  };
  const took: Record<string, number[]> = {};
  for (let round = 0; round < 9; round++) {
    for (const name of shuffle(Object.keys(reads), Math.random)) {
      const often = name.endsWith('Totals') ? 2 : 20;
      const ms = await timed(async () => {
        for (let i = 0; i < often; i++)
          await pool.query((reads[name] as (user: number) => string)(1 + ((round * often + i) % users)));
      });
      took[name] = [...(took[name] ?? []), ms / often];
    }
  }
  const of = (name: string): number[] => took[name] as number[];
  return [
    figure(
      'exact read of one user, 100 groups changed, to the same from the rollup, ms',
      compare(of('live'), of('rollup')),
      {
        of: 'ratio',
        atMost: 1.3,
      },
    ),
    figure(
      'exact read of one user, 100 groups changed, to the query over the rows, ms',
      compare(of('live'), of('raw')),
      {
        of: 'ratio',
        atMost: 0.125,
      },
    ),
    figure(
      'read of one user from the rollup to the query over the rows, ms',
      compare(of('rollup'), of('raw')),
      {
        of: 'ratio',
        atMost: 0.1,
      },
    ),
    figure(
      'totals per day from the rollup to the query over the rows, ms',
      compare(of('rollupTotals'), of('rawTotals')),
      {
        of: 'ratio',
        atMost: 0.02,
      },
    ),
  ];
}

/** What marking costs those who write, as CPU of their backend; nothing where the system does not tell. */
async function writes(url: string): Promise<Figure[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows: own } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    const pid = own[0]?.pid ?? 0;
    if (cpuUsOf(pid) === undefined) return [];
    const used = async (table: string, batch: number, times: number): Promise<number> => {
      const before = cpuUsOf(pid) as number;
      for (let i = 0; i < times; i++) {
        await client.query({
          name: `${table} ${batch}`,
          text: `insert into ${table} (user_id, start_time, status, duration, device_id)
            select 1 + ($1 + g) % ${users}, timestamptz '2026-02-01 12:00Z' + g * interval '1 hour', 'answered', 5, 1 from generate_series(1, $2::int) g`,
          values: [i, batch],
        });
      }
      return ((cpuUsOf(pid) as number) - before) / times / batch;
    };
    const figures: Figure[] = [];
    for (const [batch, times, atMost] of [
      [1, 300, 1.6],
      [100, 20, 1.25],
    ] as const) {
      const ours: number[] = [];
      const peer: number[] = [];
      await used('calls', batch, times);
      await used('bare_calls', batch, times);
      for (let round = 0; round < 9; round++) {
        for (const table of shuffle(['calls', 'bare_calls'], Math.random)) {
          (table === 'calls' ? ours : peer).push(await used(table, batch, times));
        }
      }
      figures.push(
        figure(
          `INSERT of ${batch} row${batch > 1 ? 's' : ''} that marks to one without triggers, backend CPU us per row`,
          compare(ours, peer),
          {
            of: 'ratio',
            atMost,
          },
        ),
      );
    }
    return figures;
  } finally {
    await client.end();
  }
}

const seconds = 8;
const commitsPerSecond = 200;

/** From commit to a view that holds it, while 200 transactions per second commit; and what that costs. */
async function freshness(url: string, pool: pg.Pool): Promise<Figure[]> {
  await createRefresher({ sql: pgExecutor(pool), views: [perDay] }).waitFresh('per_day');
  const worker = new pg.Pool({ connectionString: url, max: 2 });
  worker.on('error', () => {});
  const pids = async (): Promise<number[]> => {
    const clients = await Promise.all([worker.connect(), worker.connect()]);
    const found = await Promise.all(
      clients.map(async (client) =>
        Number((await client.query('select pg_backend_pid() as pid')).rows[0]?.pid),
      ),
    );
    for (const client of clients) client.release();
    return found;
  };
  try {
    const backends = await pids();
    const cpu = (): number => backends.reduce((total, pid) => total + (cpuUsOf(pid) ?? 0), 0);
    const tells = cpuUsOf(backends[0] ?? 0) !== undefined;

    const refreshed: (readonly [number, number])[] = [];
    const refresher = createRefresher({
      sql: pgExecutor(worker),
      views: [perDay],
      debounce: 50,
      maxWait: 250,
    });
    refresher.on('refreshed', ({ freshAsOf }) => refreshed.push([freshAsOf, Date.now()]));
    await refresher.start();
    let before = cpu();
    const ours = await commits(pool, 'calls', refreshed);
    const oursCpu = (cpu() - before) / (seconds * 1e6);
    await refresher.stop();

    const loop: (readonly [number, number])[] = [];
    let going = true;
    const looping = (async () => {
      while (going) {
        const began = Date.now();
        await worker.query('refresh materialized view concurrently mv_bare');
        loop.push([began, Date.now()]);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    })();
    before = cpu();
    const peer = await commits(pool, 'bare_calls', loop);
    const peerCpu = (cpu() - before) / (seconds * 1e6);
    going = false;
    await looping;
    const at = (share: number) => ({
      ours: quantile(ours, share),
      peer: quantile(peer, share),
      ratio: quantile(ours, share) / quantile(peer, share),
    });
    const figures = [
      figure('commit to fresh at 200 commits/s to a REFRESH CONCURRENTLY loop, p50 ms', at(0.5), {
        of: 'ratio',
        atMost: 0.125,
      }),
      figure('commit to fresh at 200 commits/s to a REFRESH CONCURRENTLY loop, p99 ms', at(0.99), {
        of: 'ratio',
        atMost: 0.125,
      }),
      figure(
        'commit to fresh at 200 commits/s, p99 ms',
        { ours: quantile(ours, 0.99) },
        { of: 'ours', atMost: 300 },
      ),
    ];
    if (!tells) return figures;
    return [
      ...figures,
      figure(
        'CPU of the refreshing backends at 200 commits/s to that loop, share of a core',
        { ours: oursCpu, peer: peerCpu, ratio: oursCpu / peerCpu },
        { of: 'ratio', atMost: 0.05 },
      ),
    ];
  } finally {
    await worker.end();
  }
}

/** Milliseconds from each commit to the first refresh that holds it. */
async function commits(
  pool: pg.Pool,
  table: string,
  refreshed: readonly (readonly [number, number])[],
): Promise<number[]> {
  const committed: number[] = [];
  const until = Date.now() + seconds * 1_000;
  const lane = async (first: number): Promise<void> => {
    let next = Date.now();
    for (let i = first; Date.now() < until; i += 4) {
      await pool.query(
        `insert into ${table} (user_id, start_time, status, duration, device_id) values ($1, timestamptz '2026-03-01 00:00Z' + $2 * interval '1 hour', 'answered', 5, 1)`,
        [1 + ((i * 7919) % users), i % 500],
      );
      committed.push(Date.now());
      next += 4_000 / commitsPerSecond;
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, next - Date.now())));
    }
  };
  await Promise.all([0, 1, 2, 3].map(lane));
  const last = committed.at(-1) ?? 0;
  const patience = Date.now() + 60_000;
  while (!refreshed.some(([asOf]) => asOf >= last) && Date.now() < patience) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return committed.flatMap((at) => {
    const found = refreshed.find(([asOf]) => asOf >= at);
    return found === undefined ? [] : [found[1] - at];
  });
}

/** Whoever was fast and left something out would win. */
async function expectExact(pool: pg.Pool): Promise<void> {
  await createRefresher({ sql: pgExecutor(pool), views: [perDay] }).waitFresh('per_day');
  const { rows: wrong } = await pool.query(
    `(select * from per_day except all ${measured('calls')}) union all (${measured('calls')} except all select * from per_day) limit 1`,
  );
  if (wrong.length > 0) throw new Error('per_day does not hold what its query gives');
}
