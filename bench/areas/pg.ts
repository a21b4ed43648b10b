import { pgExecutor } from '@cachekit/core/postgres';
import { createRefresher, createViews, defineView } from '@cachekit/pg-matviews';
import { createDatabase, startPostgres } from '@cachekit/services';
import pg from 'pg';
import { expectExact, prepareCalls } from '../pg/calls.ts';
import { etl } from '../pg/etl.ts';
import { freshness } from '../pg/freshness.ts';
import { reads } from '../pg/reads.ts';
import { refreshes } from '../pg/refreshes.ts';
import { scaleOf } from '../pg/scale.ts';
import { tenantSyncs } from '../pg/tenant-syncs.ts';
import { writes } from '../pg/writes.ts';
import type { AreaOptions } from '../runner/area.ts';
import { concurrently } from '../runner/contender.ts';
import { type Figure, figure } from '../runner/figure.ts';
import { compare, measure, type Samples } from '../runner/measure.ts';
import { noteVersion } from '../runner/versions.ts';

const viewRows = 50_000;
const query = (calls: string): string =>
  `select user_id, date_trunc('day', at, 'UTC') as day, count(*)::int as total, sum(seconds)::int as seconds
   from ${calls} group by 1, 2`;

/** Views, rollups and copies against what one would write by hand; over a million rows if nothing else is said. */
export async function postgres({ rows = 1_000_000 }: AreaOptions = {}): Promise<Figure[]> {
  const scale = scaleOf(rows);
  const server = await startPostgres();
  const databases = await Promise.all(Array.from({ length: 4 }, () => createDatabase(server.url)));
  const [small, large, remote, local] = databases.map(({ url }) => url) as [string, string, string, string];
  const pools = [small, large].map((connectionString) => new pg.Pool({ connectionString, max: 8 }));
  // The server ends sessions that are idle when it stops.
  for (const pool of pools) pool.on('error', () => {});
  const [whole, grouped] = pools as [pg.Pool, pg.Pool];
  try {
    const { rows: versions } = await grouped.query('show server_version');
    noteVersion('PostgreSQL', String(versions[0]?.server_version).split(' ')[0] ?? '');
    await prepareCalls(grouped, scale);
    const figures = [
      ...(await refreshedView(whole)),
      ...(await refreshes(grouped, scale)),
      ...(await reads(grouped, scale)),
      ...(await freshness(large, grouped, scale)),
      ...(await tenantSyncs(large, scale)),
      ...(await writes(large, grouped, scale)),
      ...(await etl(remote, local, scale)),
    ];
    await expectExact(grouped);
    return figures;
  } finally {
    await Promise.all(pools.map((pool) => pool.end()));
    for (const database of databases) await database.drop();
    await server.stop();
  }
}

async function refreshedView(pool: pg.Pool): Promise<Figure[]> {
  for (const calls of ['calls', 'bare_calls']) {
    await pool.query(
      `create table ${calls} (id bigint generated always as identity primary key, user_id int not null,
         at timestamptz not null, seconds int not null)`,
    );
    await pool.query(
      `insert into ${calls} (user_id, at, seconds)
       select i % 50, timestamptz '2026-01-01 00:00Z' + i * interval '1 minute', i % 600
       from generate_series(1, ${viewRows}) i`,
    );
  }
  await pool.query(`create materialized view mv_bare as ${query('bare_calls')}`);
  await pool.query('create unique index on mv_bare (user_id, day)');
  const view = defineView({
    name: 'mv_calls_per_day',
    kind: 'materialized',
    query: query('calls'),
    indexes: [{ columns: ['user_id', 'day'], unique: true }],
    tenant: 'user_id',
    sources: { calls: { tenant: 'user_id' } },
    refresh: 'concurrently',
  });
  const sql = pgExecutor(pool);
  await createViews({ sql, views: [view] }).apply();
  await pool.query('vacuum analyze');
  const refresher = createRefresher({ sql, views: [view] });
  const insert = (calls: string, i: number): Promise<unknown> =>
    pool.query(`insert into ${calls} (user_id, at, seconds) values ($1, '2026-02-01 12:00Z', 60)`, [i % 50]);

  const samples = await measure({
    contenders: [
      {
        name: 'ours',
        run: concurrently(1, async (i) => {
          await insert('calls', i);
          await refresher.waitFresh(view.name);
        }),
      },
      {
        name: 'peer',
        run: concurrently(1, async (i) => {
          await insert('bare_calls', i);
          await pool.query('refresh materialized view concurrently mv_bare');
        }),
      },
    ],
    sliceMs: 400,
    rounds: 9,
  });
  await refresher.stop();
  await expectEqual(pool);
  const { ours, peer, ratio } = compare(
    (samples.get('ours') as Samples).timeUs,
    (samples.get('peer') as Samples).timeUs,
  );
  const inMs = { ours: ours / 1_000, peer: peer / 1_000, ratio };
  return [
    figure('commit to fresh view to INSERT and REFRESH CONCURRENTLY, ms per change', inMs, {
      of: 'ratio',
      atMost: 1.5,
    }),
  ];
}

/** Whoever was fast and left something out would win. */
async function expectEqual(pool: pg.Pool): Promise<void> {
  for (const [view, calls] of [
    ['mv_calls_per_day', 'calls'],
    ['mv_bare', 'bare_calls'],
  ] as const) {
    const { rows: wrong } = await pool.query(
      `select 1 where (select sum(total) from ${view}) is distinct from (select count(*) from ${calls})`,
    );
    if (wrong.length > 0) throw new Error(`${view} does not hold every row of ${calls}`);
  }
}
