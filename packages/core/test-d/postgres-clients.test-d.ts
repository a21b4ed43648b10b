import {
  createListener,
  kyselyExecutor,
  pgClientExecutor,
  pgExecutor,
  poolPressure,
  sharedPool,
} from '@cachekit/core/postgres';
import type { Kysely } from 'kysely';
import pg from 'pg';

interface Database {
  calls: { id: string; user_id: string };
}

declare const db: Kysely<Database>;

pgExecutor(new pg.Pool());
pgClientExecutor(new pg.Client());
kyselyExecutor(db);
createListener({ connect: () => new pg.Client() });
const pool: pg.Pool = sharedPool(() => new pg.Pool({ max: 20 }));
poolPressure(pool).waiting.toFixed();

// @ts-expect-error a client is no pool: it cannot keep statements of others out of a transaction
pgExecutor(new pg.Client());
