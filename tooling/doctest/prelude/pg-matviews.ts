/** The names an `@example` of `@cachekit/pg-matviews` may take for granted. */
import { defineView } from '@cachekit/pg-matviews';
import { Migrator } from 'kysely/migration';
import { type Database, Kysely, PostgresDialect, pool } from './common.ts';

export { Migrator };
export const remotePool = pool;
export const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });

export const callsPerDay = defineView({
  name: 'mv_calls_per_day',
  kind: 'materialized',
  query: `select user_id, date_trunc('day', start_time, 'UTC') as day, count(*) as total from calls group by 1, 2`,
  indexes: [{ columns: ['user_id', 'day'], unique: true }],
  tenant: 'user_id',
  sources: { calls: { tenant: 'user_id' } },
});
