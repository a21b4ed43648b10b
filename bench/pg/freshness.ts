import { createListener, pgExecutor } from '@cachekit/core/postgres';
import { createRefresher } from '@cachekit/pg-matviews';
import pg from 'pg';
import { cpuUsOf } from '../runner/backend-cpu.ts';
import { type Figure, figure } from '../runner/figure.ts';
import { quantile } from '../runner/quantile.ts';
import { perDay } from './calls.ts';
import type { Scale } from './scale.ts';

const commitsPerSecond = 200;

/** A refresh: as of when, and when it was seen. */
type Seen = readonly [freshAsOf: number, seenAt: number];

/** From commit to a view that holds it, while 200 transactions per second commit, and at rest; and what that costs. */
export async function freshness(url: string, pool: pg.Pool, scale: Scale): Promise<Figure[]> {
  await createRefresher({ sql: pgExecutor(pool), views: [perDay] }).waitFresh('per_day');
  // The backends whose CPU is read are there until the end.
  const worker = new pg.Pool({ connectionString: url, max: 2, idleTimeoutMillis: 0 });
  worker.on('error', () => {});
  try {
    const cpu = await cpuOf(worker);
    const ours = await whileRefreshing(url, worker, { debounce: 50, maxWait: 250 }, (seen) =>
      spent(cpu, () => constantly(pool, 'calls', seen, scale)),
    );
    const sparse = await whileRefreshing(url, worker, {}, (seen) => sparsely(pool, seen, 5 * scale.seconds));
    const peer = await looping(worker, (seen) =>
      spent(cpu, () => constantly(pool, 'bare_calls', seen, scale)),
    );
    const at = (share: number) => ({
      ours: quantile(ours.ages, share),
      peer: quantile(peer.ages, share),
      ratio: quantile(ours.ages, share) / quantile(peer.ages, share),
    });
    const name = 'commit to fresh at 200 commits/s';
    const bound = { of: 'ratio', atMost: 0.125 } as const;
    return [
      figure(`${name} to a REFRESH CONCURRENTLY loop, p50 ms`, at(0.5), bound),
      figure(`${name} to a REFRESH CONCURRENTLY loop, p99 ms`, at(0.99), bound),
      figure(`${name}, p99 ms`, { ours: quantile(ours.ages, 0.99) }, { of: 'ours', atMost: 300 }),
      figure(
        'commit to fresh after a rest, p50 ms',
        { ours: quantile(sparse, 0.5) },
        { of: 'ours', atMost: 5 },
      ),
      figure(
        'commit to fresh after a rest, p99 ms',
        { ours: quantile(sparse, 0.99) },
        { of: 'ours', atMost: 20 },
      ),
      ...(ours.cpu === undefined || peer.cpu === undefined
        ? []
        : [
            figure(
              'CPU of the refreshing backends at 200 commits/s to that loop, share of a core',
              { ours: ours.cpu, peer: peer.cpu, ratio: ours.cpu / peer.cpu },
              { of: 'ratio', atMost: 0.05 },
            ),
          ]),
    ];
  } finally {
    await worker.end();
  }
}

/** Microseconds of CPU of the pool's two backends; `undefined` where the system does not tell. */
async function cpuOf(worker: pg.Pool): Promise<() => number | undefined> {
  const clients = await Promise.all([worker.connect(), worker.connect()]);
  const pids = await Promise.all(
    clients.map(async (client) =>
      Number((await client.query('select pg_backend_pid() as pid')).rows[0]?.pid),
    ),
  );
  for (const client of clients) client.release();
  return () => {
    const used = pids.map(cpuUsOf);
    return used.includes(undefined) ? undefined : used.reduce<number>((sum, us) => sum + (us ?? 0), 0);
  };
}

/** Ages, and the share of a core that was used for them. */
async function spent(
  cpu: () => number | undefined,
  work: () => Promise<number[]>,
): Promise<{ ages: number[]; cpu: number | undefined }> {
  const [before, began] = [cpu(), performance.now()];
  const ages = await work();
  const after = cpu();
  const us = (performance.now() - began) * 1_000;
  return { ages, cpu: before === undefined || after === undefined ? undefined : (after - before) / us };
}

async function whileRefreshing<T>(
  url: string,
  worker: pg.Pool,
  pace: { debounce?: number; maxWait?: number },
  work: (seen: readonly Seen[]) => Promise<T>,
): Promise<T> {
  const seen: Seen[] = [];
  const listener = createListener({ connect: () => new pg.Client({ connectionString: url }) });
  const refresher = createRefresher({ sql: pgExecutor(worker), listener, views: [perDay], ...pace });
  refresher.on('refreshed', ({ freshAsOf }) => seen.push([freshAsOf, Date.now()]));
  await refresher.start();
  try {
    return await work(seen);
  } finally {
    await refresher.stop();
    await listener.close();
  }
}

async function looping<T>(worker: pg.Pool, work: (seen: readonly Seen[]) => Promise<T>): Promise<T> {
  const seen: Seen[] = [];
  let going = true;
  const loop = (async () => {
    while (going) {
      const began = Date.now();
      await worker.query('refresh materialized view concurrently mv_bare');
      seen.push([began, Date.now()]);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  try {
    return await work(seen);
  } finally {
    going = false;
    await loop;
  }
}

async function write(pool: pg.Pool, table: string, users: number, nr: number): Promise<void> {
  await pool.query(
    `insert into ${table} (user_id, start_time, status, duration, device_id) values ($1, timestamptz '2026-03-01 00:00Z' + $2 * interval '1 hour', 'answered', 5, 1)`,
    [1 + ((nr * 7919) % users), nr % 500],
  );
}

/** Milliseconds from each commit to the first refresh that holds it. */
async function constantly(
  pool: pg.Pool,
  table: string,
  seen: readonly Seen[],
  { seconds, users }: Scale,
): Promise<number[]> {
  const committed: number[] = [];
  const until = Date.now() + seconds * 1_000;
  const lane = async (first: number): Promise<void> => {
    let next = Date.now();
    for (let i = first; Date.now() < until; i += 4) {
      await write(pool, table, users, i);
      committed.push(Date.now());
      next += 4_000 / commitsPerSecond;
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, next - Date.now())));
    }
  };
  await Promise.all([0, 1, 2, 3].map(lane));
  const last = committed.at(-1) ?? 0;
  const patience = Date.now() + 60_000;
  while (!seen.some(([asOf]) => asOf >= last) && Date.now() < patience) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return committed.flatMap((at) => {
    const found = seen.find(([asOf]) => asOf >= at);
    return found === undefined ? [] : [found[1] - at];
  });
}

/** The same of single commits, each after nothing has happened for a while. */
async function sparsely(pool: pg.Pool, seen: readonly Seen[], commits: number): Promise<number[]> {
  const ages: number[] = [];
  for (let nr = 0; nr < commits; nr++) {
    await new Promise((resolve) => setTimeout(resolve, 400));
    const known = seen.length;
    await write(pool, 'calls', 1, nr);
    const at = performance.now();
    while (seen.length === known && performance.now() - at < 5_000) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    ages.push(performance.now() - at);
  }
  return ages;
}
