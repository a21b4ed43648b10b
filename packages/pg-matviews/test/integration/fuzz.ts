import pg from 'pg';

/** What a run saw. */
export interface FuzzReport {
  checks: number;
  commits: number;
  rollbacks: number;
  refreshes: number;
  /** Snapshots in which an exact view was not what the rows gave. */
  wrongLive: number;
  /** Quiet moments, with nothing marked, in which a rollup was not what the rows gave. */
  wrongRollup: number;
  failedRefreshes: unknown[];
}

export interface FuzzOptions {
  readonly url: string;
  readonly views: readonly string[];
  /** What each view must be, by its name. */
  readonly raw: Readonly<Record<string, string>>;
  /** Checks of the exact views. */
  readonly atLeast: number;
  readonly seconds: number;
  /** Ends early. */
  readonly until?: (report: FuzzReport) => boolean;
  readonly next: () => number;
}

const roundMs = 1_500;

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Four writers with random transactions, two refreshers and one that compares in snapshots of its own, in rounds; after
 * each round nobody writes, all marks are taken, and the rollups themselves are compared.
 */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const { url, views, raw, atLeast, seconds, until = () => false, next } = options;
  const report: FuzzReport = {
    checks: 0,
    commits: 0,
    rollbacks: 0,
    refreshes: 0,
    wrongLive: 0,
    wrongRollup: 0,
    failedRefreshes: [],
  };
  const clients = await Promise.all(
    Array.from({ length: 7 }, async () => {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      return client;
    }),
  );
  const [checker, first, second, ...writers] = clients as [pg.Client, pg.Client, pg.Client, ...pg.Client[]];
  const deadline = Date.now() + seconds * 1_000;
  const enough = (): boolean => report.checks >= atLeast || Date.now() > deadline || until(report);
  try {
    while (!enough()) {
      const roundEnds = Date.now() + roundMs;
      const going = (): boolean => Date.now() < roundEnds;
      await Promise.all([
        ...writers.map((writer) => write(writer, next, going, report)),
        refresh(first, views, next, going, report),
        refresh(second, views, next, going, report),
        check(checker, views, raw, () => going() && !enough(), report),
      ]);
      for (const view of views) {
        // Two in turns, as a mark may be written while the other refresher is at work no more.
        await attempt(first, view, report);
        if (await differs(checker, view, raw[view] ?? '')) report.wrongRollup += 1;
      }
    }
    return report;
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

async function write(
  client: pg.Client,
  next: () => number,
  going: () => boolean,
  report: FuzzReport,
): Promise<void> {
  const user = (): number => 1 + Math.floor(next() * 12);
  const at = (): string =>
    new Date(Date.UTC(2026, 2, 1 + Math.floor(next() * 5), Math.floor(next() * 24))).toISOString();
  const statement = async (): Promise<void> => {
    const dice = next();
    if (dice < 0.45) {
      await client.query(
        `insert into calls (user_id, start_time, duration)
         select $1::int + g, $2::timestamptz + g * interval '1 day', $3::int from generate_series(0, $4::int) g`,
        [next() < 0.03 ? null : user(), at(), Math.floor(next() * 100), next() < 0.3 ? 2 : 0],
      );
    } else if (dice < 0.6) {
      await client.query(
        'update calls set duration = $2 where id in (select id from calls where user_id = $1 limit 2 for update skip locked)',
        [user(), Math.floor(next() * 100)],
      );
    } else if (dice < 0.75) {
      await client.query(
        'update calls set user_id = $2, start_time = $3 where id in (select id from calls where user_id = $1 limit 2 for update skip locked)',
        [user(), user(), at()],
      );
    } else if (dice < 0.9) {
      await client.query(
        'delete from calls where id in (select id from calls where user_id = $1 limit 3 for update skip locked)',
        [user()],
      );
    } else {
      await client.query(
        'update users set team = $2 where id = (select id from users where id = $1 for update skip locked)',
        [user(), Math.floor(next() * 5)],
      );
    }
  };
  while (going()) {
    await client.query('begin');
    const statements = 1 + Math.floor(next() * 3);
    for (let done = 0; done < statements; done++) {
      const saved = next() < 0.3;
      if (saved) await client.query('savepoint s');
      await statement();
      if (saved) await client.query(next() < 0.4 ? 'rollback to savepoint s' : 'release savepoint s');
      // Some transactions outlast several refreshes.
      if (next() < 0.2) await client.query('select pg_sleep($1)', [next() * 0.03]);
    }
    if (next() < 0.15) {
      await client.query('rollback');
      report.rollbacks += 1;
    } else {
      await client.query('commit');
      report.commits += 1;
    }
  }
}

async function refresh(
  client: pg.Client,
  views: readonly string[],
  next: () => number,
  going: () => boolean,
  report: FuzzReport,
): Promise<void> {
  while (going()) {
    await attempt(client, views[Math.floor(next() * views.length)] ?? '', report);
    if (next() < 0.3) await client.query('select pg_sleep($1)', [next() * 0.02]);
  }
}

async function attempt(client: pg.Client, view: string, report: FuzzReport): Promise<void> {
  try {
    const { rows } = await client.query<{ state: string }>(
      `select cachekit.refresh_rollup($1)->>'state' as state`,
      [view],
    );
    if (rows[0]?.state === 'refreshed') report.refreshes += 1;
  } catch (error) {
    report.failedRefreshes.push(error);
  }
}

async function check(
  client: pg.Client,
  views: readonly string[],
  raw: Readonly<Record<string, string>>,
  going: () => boolean,
  report: FuzzReport,
): Promise<void> {
  while (going()) {
    await client.query('begin isolation level repeatable read read only');
    for (const view of views) {
      if (await differs(client, `${view}_live`, raw[view] ?? '')) report.wrongLive += 1;
    }
    await client.query('commit');
    report.checks += 1;
  }
}

async function differs(client: pg.Client, view: string, raw: string): Promise<boolean> {
  const { rowCount } = await client.query(
    `((select * from ${view}) except all (${raw})) union all ((${raw}) except all (select * from ${view})) limit 1`,
  );
  return rowCount !== 0;
}
