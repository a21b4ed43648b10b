import type { Clock, SqlExecutor } from '@cachekit/core';
import { quoteLiteral } from '@cachekit/core/postgres';
import { MissingUniqueIndexError, RefreshFailedError } from '../errors.ts';
import { refreshErrors } from '../sql/refresh-function.ts';
import { sqlState } from '../sql/sql-state.ts';
import { wantedIndex } from '../view.ts';
import { cancellable } from './cancel.ts';
import type { RefreshedEvent } from './events.ts';

/** Limits of one refresh. */
export interface RunLimits {
  /** Waiting for a lock: a plain refresh makes readers queue behind it for at most so long. */
  readonly lockMs: number;
  readonly runMs: number;
}

/** What became of one attempt to refresh. */
export type RunOutcome =
  | { readonly state: 'refreshed'; readonly event: RefreshedEvent }
  /** There was nothing to do. */
  | { readonly state: 'clean'; readonly freshAsOf: number }
  /** Another process refreshes the view, or applies it. */
  | { readonly state: 'busy' }
  /** It is marked, and nobody is to refresh it by itself. */
  | { readonly state: 'paused'; readonly failures: number; readonly lastError?: string };

/** A time of the database, in microseconds since the epoch. */
export type DatabaseTime = bigint;

/** What is to be refreshed and when. */
export interface RunRequest {
  readonly view: string;
  readonly tenant: string | undefined;
  /** If the view is marked, always, or also if nobody refreshed it since a time. */
  readonly when: 'marked' | 'always' | DatabaseTime;
  /** Also a view that was paused. */
  readonly pausedToo: boolean;
  /** Cancels the statement when it aborts. */
  readonly signal?: AbortSignal;
}

/** What time it is in the database. */
export async function databaseTime(sql: SqlExecutor): Promise<DatabaseTime> {
  const { rows } = await sql.query<{ now: string }>(
    'SELECT trunc(extract(epoch FROM clock_timestamp()) * 1000000)::text AS now',
  );
  return BigInt(rows[0]?.now ?? 0);
}

type Report =
  | Exclude<RunOutcome, { state: 'refreshed' }>
  | ({ readonly state: 'refreshed' } & Omit<RefreshedEvent, 'view' | 'durationMs'>);

/**
 * Refreshes a view in one transaction by `cachekit.refresh`, if nobody else does.
 *
 * @throws MissingUniqueIndexError `MISSING_UNIQUE_INDEX` before anything runs.
 * @throws RefreshFailedError `REFRESH_FAILED` if the view was never applied or is gone.
 * @throws The reason of the signal, if the statement was cancelled because of it.
 * @throws The error of the database, unchanged; nothing has changed then.
 */
export async function runRefresh(
  sql: SqlExecutor,
  { view, tenant, when, pausedToo, signal }: RunRequest,
  limits: RunLimits,
  clock: Clock,
): Promise<RunOutcome> {
  const startedAt = clock.now();
  const work = async (transaction: SqlExecutor): Promise<Report> => {
    const { rows } = await transaction.query<{ report: string }>(
      'SELECT cachekit.refresh($1, $2, $3::numeric, $4)::text AS report',
      [view, when !== 'marked', typeof when === 'bigint' ? when.toString() : null, pausedToo],
    );
    const report = JSON.parse(rows[0]?.report ?? 'null') as Report;
    if (report.state === 'busy') await assertApplied(transaction, view);
    return report;
  };
  try {
    const report = await cancellable(sql, settingsSql(limits), signal, clock, work);
    if (report.state !== 'refreshed') return report;
    const { mode, freshAsOf, marks, changes } = report;
    const event = { view, mode, durationMs: clock.now() - startedAt, freshAsOf, marks, changes };
    return { state: 'refreshed', event };
  } catch (error) {
    const state = sqlState(error);
    if (state === refreshErrors.unindexed) throw new MissingUniqueIndexError(view, wantedIndex(tenant));
    if (state === refreshErrors.gone) {
      throw new RefreshFailedError(view, 'it is gone from the database; apply the views', { cause: error });
    }
    throw error;
  }
}

/** What is known of the failures of a view. */
export interface FailureRecord {
  readonly failures: number;
  /** This failure was the last one that was allowed. */
  readonly paused: boolean;
}

/**
 * Writes down that a refresh failed, unless the view is being refreshed again already. After `pauseAfter` failures in a row
 * nobody tries it again by itself; the marks stay.
 */
export async function recordFailure(
  sql: SqlExecutor,
  view: string,
  error: unknown,
  pauseAfter: number,
): Promise<FailureRecord | undefined> {
  const message = error instanceof Error ? error.message : String(error);
  const { rows } = await sql.query<FailureRecord>(
    `UPDATE cachekit.view SET failures = failures + 1, last_error = $2, failed_at = clock_timestamp(),
       paused = CASE WHEN failures + 1 >= $3::integer THEN coalesce(paused, 'failures') ELSE paused END
     WHERE name IN (SELECT name FROM cachekit.view WHERE name = $1 FOR UPDATE SKIP LOCKED)
     RETURNING failures, paused = 'failures' AND failures = $3::integer AS paused`,
    [view, message.replaceAll('\0', ''), pauseAfter],
  );
  const [record] = rows;
  return record && { failures: Number(record.failures), paused: record.paused === true };
}

/** `row_security = off` turns a refresh that would silently see some rows only into an error. */
export function settingsSql(limits: RunLimits): string {
  const settings = [
    ['lock_timeout', `${Math.ceil(limits.lockMs)}ms`],
    ['statement_timeout', `${Math.ceil(limits.runMs)}ms`],
    ['idle_in_transaction_session_timeout', `${Math.ceil(limits.runMs)}ms`],
    ['row_security', 'off'],
    ['TimeZone', 'UTC'],
    ['DateStyle', 'ISO, YMD'],
    ['IntervalStyle', 'postgres'],
  ] as const;
  return `SELECT ${settings.map(([name, value]) => `set_config('${name}', ${quoteLiteral(value)}, true)`).join(', ')}`;
}

async function assertApplied(sql: SqlExecutor, view: string): Promise<void> {
  const { rows } = await sql.query<{ kind: string }>('SELECT kind FROM cachekit.view WHERE name = $1', [
    view,
  ]);
  if (rows[0] === undefined) throw new RefreshFailedError(view, 'it was never applied');
  if (rows[0].kind === 'view') throw new RefreshFailedError(view, 'it is a plain view');
}
