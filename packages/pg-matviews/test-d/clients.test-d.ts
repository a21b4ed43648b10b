import { kyselyExecutor, pgExecutor } from '@cachekit/core/postgres';
import { type Compilable, createRefresher, createViews, defineView } from '@cachekit/pg-matviews';
import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';

interface Database {
  calls: { id: number; user_id: number; status: string; start_time: Date };
}

const pool = new pg.Pool();
const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });

// A query of Kysely is a query of a view, with values and raw parts.
const query: Compilable = db
  .selectFrom('calls')
  .select(({ fn }) => ['user_id', fn.countAll().as('total')])
  .where('status', '=', 'answered')
  .where(sql<boolean>`start_time > now() - interval '1 day'`)
  .groupBy('user_id');

const view = defineView({ name: 'answered', kind: 'materialized', query });

createViews({ sql: pgExecutor(pool), views: [view] });
createViews({ sql: kyselyExecutor(db), views: [view] });
createRefresher({ sql: pgExecutor(pool), views: [view] });

// @ts-expect-error a view has a kind
defineView({ name: 'no_kind', query });
// @ts-expect-error there is no such kind
defineView({ name: 'wrong_kind', kind: 'rollup', query });
// @ts-expect-error a misspelt option is an error already in the editor
defineView({ name: 'misspelt', kind: 'view', query, indices: [] });
