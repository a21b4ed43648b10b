import type { Clock, SqlExecutor } from '@cachekit/core';
import { ViewDriftError } from '../errors.ts';
import { isLockConflict } from '../sql/sql-state.ts';
import type { ViewDefinition } from '../view.ts';
import type { PlanChoices } from './decide.ts';
import { install } from './install.ts';
import { type Migration, type PlanEntry, planMigration } from './plan.ts';
import { sessionSql } from './session.ts';

/** Serializes everybody who applies views to a database; ends with the transaction. */
export const applyLockSql = `SELECT pg_advisory_xact_lock(hashtextextended('cachekit.views', 0))`;

/** How often and how long applying waits for the locks of others. */
export interface LockPatience {
  /** One attempt: readers and writers that queue behind it wait at most this long because of it. */
  readonly timeoutMs: number;
  /** All attempts together. */
  readonly waitMs: number;
}

const pauseMs = 100;

/**
 * Runs a transaction, and again from the start if a lock was not to be had.
 *
 * @throws The error of the database when the last attempt met a lock as well.
 */
export async function withPatience<T>(
  sql: SqlExecutor,
  patience: LockPatience,
  clock: Clock,
  run: (transaction: SqlExecutor) => Promise<T>,
): Promise<T> {
  const until = clock.now() + patience.waitMs;
  for (;;) {
    try {
      return await sql.transaction(run);
    } catch (error) {
      if (!isLockConflict(error) || clock.now() + pauseMs > until) throw error;
      await new Promise<void>((resolve) => clock.setTimeout(resolve, pauseMs));
    }
  }
}

/**
 * Brings the database to the definitions in one transaction, and again from the start if a lock was not to be had.
 *
 * @throws ViewDriftError `VIEW_DRIFT`
 * @throws The error of the database when the last attempt met a lock as well.
 */
export async function applyViews(
  sql: SqlExecutor,
  schema: string,
  views: readonly ViewDefinition[],
  choices: PlanChoices,
  patience: LockPatience,
  clock: Clock,
): Promise<readonly PlanEntry[]> {
  return withPatience(sql, patience, clock, (transaction) =>
    applyOnce(transaction, schema, views, choices, patience),
  );
}

async function applyOnce(
  sql: SqlExecutor,
  schema: string,
  views: readonly ViewDefinition[],
  choices: PlanChoices,
  patience: LockPatience,
): Promise<readonly PlanEntry[]> {
  await sql.query(sessionSql(schema, patience.timeoutMs));
  await sql.query(applyLockSql);
  await install(sql);
  const migration: Migration = await planMigration(sql, schema, views, choices);
  const drifted = migration.entries.filter(({ action }) => action === 'drift').map(({ view }) => view);
  if (drifted.length > 0) throw new ViewDriftError(drifted);
  for (const statement of migration.statements) await sql.query(statement);
  return migration.entries;
}
