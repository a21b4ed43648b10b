import type { SqlExecutor } from '@cachekit/core';
import { outboxTable, quoteIdentifier } from '@cachekit/core/postgres';
import { refreshFunctions } from '../sql/refresh-function.ts';
import { applyLockSql, type LockPatience } from './apply.ts';
import { viewOutbox } from './install.ts';
import { schemaPart } from './installed.ts';
import { planMigration } from './plan.ts';
import { readRecords } from './records.ts';
import { sessionSql } from './session.ts';

/** Tables of this package in schema `cachekit`, each before those it refers to. */
const tables = ['etl_run', 'etl_source', 'etl', 'view_source', 'view_edge', 'view', 'mark', 'installed'];

/**
 * Takes everything of this package out of the database, in the caller's transaction: views, rollups, triggers, state, and what it
 * shares with others if nobody else uses it.
 *
 * @returns The views that were dropped.
 * @throws The error of the database, unchanged, if something else depends on a view.
 */
export async function uninstall(sql: SqlExecutor, patience: LockPatience): Promise<string[]> {
  await sql.query(sessionSql('public', patience.timeoutMs));
  await sql.query(applyLockSql);
  const { views } = await readRecords(sql);
  await dropViews(sql, new Set(views.map(({ schema }) => schema)));
  const schemas = await createdSchemas(sql);
  await unschedule(sql);
  for (const name of refreshFunctions) await sql.query(`DROP FUNCTION IF EXISTS ${name}`);
  for (const name of tables) await sql.query(`DROP TABLE IF EXISTS cachekit.${name}`);
  await sql.query('DROP FUNCTION IF EXISTS cachekit.count_failure()');
  await sql.query(`DROP TABLE IF EXISTS ${outboxTable(viewOutbox)}`);
  for (const schema of schemas) await dropIfEmpty(sql, schema);
  await dropShared(sql);
  return views.map(({ name }) => name);
}

/** Views of one schema may read those of another, so whichever can go first goes first. */
async function dropViews(sql: SqlExecutor, schemas: Set<string>): Promise<void> {
  while (schemas.size > 0) {
    let failure: unknown;
    const before = schemas.size;
    for (const schema of schemas) {
      try {
        await sql.transaction(async (savepoint) => {
          const { statements } = await planMigration(savepoint, schema, [], {
            replaceDrifted: true,
            prune: true,
          });
          for (const statement of statements) await savepoint.query(statement);
        });
        schemas.delete(schema);
      } catch (error) {
        failure = error;
      }
    }
    if (schemas.size === before) throw failure;
  }
}

async function createdSchemas(sql: SqlExecutor): Promise<string[]> {
  const { rows } = await sql.query<{ known: boolean }>(
    `SELECT to_regclass('cachekit.installed') IS NOT NULL AS known`,
  );
  if (rows[0]?.known !== true) return [];
  const { rows: found } = await sql.query<{ part: string }>(
    `SELECT part FROM cachekit.installed WHERE starts_with(part, $1)`,
    [schemaPart],
  );
  return found.map(({ part }) => part.slice(schemaPart.length));
}

/** Jobs of pg_cron that refresh views of this database. */
async function unschedule(sql: SqlExecutor): Promise<void> {
  const { rows } = await sql.query<{ there: boolean }>(`SELECT to_regclass('cron.job') IS NOT NULL AS there`);
  if (rows[0]?.there !== true) return;
  await sql.query(
    `SELECT cron.unschedule(jobid) FROM cron.job WHERE starts_with(jobname, 'cachekit:') AND database = current_database()`,
  );
}

async function dropIfEmpty(sql: SqlExecutor, schema: string): Promise<void> {
  const { rows } = await sql.query<{ empty: boolean }>(emptySql, [schema]);
  if (rows[0]?.empty === true) await sql.query(`DROP SCHEMA ${quoteIdentifier(schema)}`);
}

/** Relations, functions and types: what a schema is used for. */
const emptySql = `SELECT to_regnamespace(quote_ident($1)) IS NOT NULL
  AND NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident($1)))
  AND NOT EXISTS (SELECT FROM pg_proc WHERE pronamespace = to_regnamespace(quote_ident($1)))
  AND NOT EXISTS (SELECT FROM pg_type WHERE typnamespace = to_regnamespace(quote_ident($1))) AS empty`;

/** The cursors and wake flags of other packages stay, and then the schema with them. */
async function dropShared(sql: SqlExecutor): Promise<void> {
  const { rows } = await sql.query<{ there: boolean }>(
    `SELECT to_regclass('cachekit.cursor') IS NOT NULL AND to_regclass('cachekit.wake') IS NOT NULL AS there`,
  );
  if (rows[0]?.there !== true) return;
  await sql.query(`DELETE FROM cachekit.cursor WHERE outbox = $1`, [viewOutbox]);
  await sql.query(`DELETE FROM cachekit.wake WHERE subject IN ('view', $1)`, [viewOutbox]);
  const { rows: others } = await sql.query<{ others: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'cachekit'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
         AND relname NOT IN ('cursor', 'wake'))
       OR EXISTS (SELECT FROM pg_proc WHERE pronamespace = 'cachekit'::regnamespace AND proname <> 'database_identity') AS others`,
  );
  if (others[0]?.others !== false) return;
  await sql.query('DROP TABLE cachekit.cursor, cachekit.wake');
  await sql.query('DROP FUNCTION IF EXISTS cachekit.database_identity()');
  await sql.query('DROP SCHEMA cachekit');
}
