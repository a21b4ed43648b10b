import { kyselyExecutor, pgExecutor } from '@cachekit/core/postgres';
import { copyingExecutor, createEtl, type EtlStatus } from '@cachekit/pg-matviews/etl';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';

const pool = new pg.Pool();
const copy = { name: 'calls', from: 'vw_calls', to: 'calls_copy', key: 'id' };
const sources = { calls: { key: 'id', changed: 'xmin' } } as const;

// A pool of pg copies by COPY, everything else by text.
createEtl({ ...copy, sources, remote: copyingExecutor(pool), local: copyingExecutor(pool) });
const etl = createEtl({
  ...copy,
  sources,
  remote: pgExecutor(pool),
  local: kyselyExecutor(new Kysely({ dialect: new PostgresDialect({ pool }) })),
});

const status: EtlStatus = await etl.status();
const lag: number | undefined = status.lagMs;
console.log(lag);

// @ts-expect-error a single client cannot keep statements of others out of a transaction
copyingExecutor(new pg.Client());
// @ts-expect-error there are two depths
await etl.reconcile('tables');
