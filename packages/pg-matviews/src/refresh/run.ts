import type { SqlExecutor } from '@cachekit/core';
import { quoteLiteral, wakeSql } from '@cachekit/core/postgres';
import { MissingUniqueIndexError, RefreshFailedError } from '../errors.ts';
import { viewOutbox } from '../migrate/install.ts';
import { searchPath } from '../migrate/session.ts';
import { wakeSubject } from '../sql/mark-trigger.ts';
import { relationSql } from '../sql/relation.ts';
import { type RefreshMode, wantedIndex } from '../view.ts';
import type { RefreshedEvent, ViewChange } from './events.ts';
import { takeMarks } from './marks.ts';

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
  | { readonly state: 'busy' };

/** A time of the database, in microseconds since the epoch. */
export type DatabaseTime = bigint;

/** When a refresh is due: if the view is marked, always, or also if nobody refreshed it since a time. */
export type RefreshWhen = 'marked' | 'always' | DatabaseTime;

/** What time it is in the database. */
export async function databaseTime(sql: SqlExecutor): Promise<DatabaseTime> {
  const { rows } = await sql.query<{ now: string }>(
    'SELECT trunc(extract(epoch FROM clock_timestamp()) * 1000000)::text AS now',
  );
  return BigInt(rows[0]?.now ?? 0);
}

/** The row of the view that is locked for the refresh. */
interface LockedView {
  readonly schema: string;
  readonly tenant: string | null;
  readonly refresh: RefreshMode;
  readonly freshEnough: boolean;
  readonly freshAsOf: string | null;
  readonly asOf: string;
  readonly asOfMs: string;
}

/**
 * Refreshes a view in one transaction, if nobody else does.
 *
 * The row of the view is locked in a statement of its own, so every later snapshot is taken under the lock: of two
 * processes the later never stores an older state. The marks that are removed were visible before the snapshot of
 * REFRESH, so what they stand for is in it; what commits in between is in it as well and stays marked, which costs one
 * refresh too many and loses nothing. The changed keys go into the outbox and to the views above in the same commit.
 *
 * @throws MissingUniqueIndexError `MISSING_UNIQUE_INDEX` before anything runs.
 * @throws RefreshFailedError `REFRESH_FAILED` if the view was never applied.
 * @throws The error of the database, unchanged; nothing has changed then.
 */
export async function runRefresh(
  sql: SqlExecutor,
  view: string,
  limits: RunLimits,
  when: RefreshWhen,
  now: () => number,
): Promise<RunOutcome> {
  const startedAt = now();
  return sql.transaction(async (transaction): Promise<RunOutcome> => {
    await transaction.query(settingsSql(limits));
    const locked = await lockView(transaction, view, typeof when === 'bigint' ? when : undefined);
    if (locked === undefined) {
      await assertApplied(transaction, view);
      return { state: 'busy' };
    }
    const target = await readTarget(transaction, locked.schema, view);
    const taken = await takeMarks(transaction, view);
    const wanted = taken.marks > 0 || !target.populated || (when !== 'marked' && !locked.freshEnough);
    if (!wanted) return { state: 'clean', freshAsOf: Number(locked.freshAsOf ?? 0) };
    const mode = modeOf(view, locked, target);
    const name = relationSql(locked.schema, view);
    await transaction.query(
      `REFRESH MATERIALIZED VIEW ${mode === 'concurrently' ? 'CONCURRENTLY ' : ''}${name}`,
    );
    const changes = when !== 'marked' || taken.marks === 0 ? '[{"key": {}}]' : taken.changes;
    await tell(transaction, view, changes);
    const durationMs = now() - startedAt;
    await transaction.query(
      `UPDATE cachekit.view SET fresh_as_of = $2::timestamptz, last_run_ms = $3, failures = 0, last_error = NULL, failed_at = NULL
       WHERE name = $1`,
      [view, locked.asOf, durationMs],
    );
    return {
      state: 'refreshed',
      event: {
        view,
        mode,
        durationMs,
        freshAsOf: Number(locked.asOfMs),
        marks: taken.marks,
        changes: JSON.parse(changes) as ViewChange[],
      },
    };
  });
}

/** Writes down that a refresh failed, unless the view is being refreshed again already. */
export async function recordFailure(sql: SqlExecutor, view: string, error: unknown): Promise<void> {
  const message = error instanceof Error ? error.message : String(error);
  await sql.query(
    `UPDATE cachekit.view SET failures = failures + 1, last_error = $2, failed_at = clock_timestamp()
     WHERE name IN (SELECT name FROM cachekit.view WHERE name = $1 FOR UPDATE SKIP LOCKED)`,
    [view, message.replaceAll('\0', '')],
  );
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

/**
 * The time of the transaction's start is before every snapshot it takes; that of a statement may be later than its
 * snapshot, by the way the protocol cuts a statement in steps.
 */
async function lockView(
  sql: SqlExecutor,
  view: string,
  since: DatabaseTime | undefined,
): Promise<LockedView | undefined> {
  const { rows } = await sql.query<LockedView>(
    `SELECT schema, tenant, refresh, coalesce(extract(epoch FROM fresh_as_of) * 1000000 >= $2::numeric, false) AS "freshEnough",
       (extract(epoch FROM fresh_as_of) * 1000)::text AS "freshAsOf",
       transaction_timestamp()::text AS "asOf", (extract(epoch FROM transaction_timestamp()) * 1000)::text AS "asOfMs"
     FROM cachekit.view WHERE name = $1 AND kind = 'materialized' FOR UPDATE SKIP LOCKED`,
    [view, since?.toString() ?? null],
  );
  return rows[0];
}

export async function assertApplied(sql: SqlExecutor, view: string): Promise<void> {
  const { rows } = await sql.query<{ kind: string }>('SELECT kind FROM cachekit.view WHERE name = $1', [
    view,
  ]);
  if (rows[0] === undefined) throw new RefreshFailedError(view, 'it was never applied');
  if (rows[0].kind === 'view') throw new RefreshFailedError(view, 'it is a plain view');
}

interface Target {
  readonly populated: boolean;
  /** It has an index that REFRESH ... CONCURRENTLY accepts. */
  readonly indexed: boolean;
}

async function readTarget(sql: SqlExecutor, schema: string, view: string): Promise<Target> {
  await sql.query(`SELECT set_config('search_path', $1, true)`, [searchPath(schema)]);
  const { rows } = await sql.query<Target>(
    `SELECT c.relispopulated AS populated, EXISTS (
       SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisunique AND x.indisvalid AND x.indimmediate
         AND x.indpred IS NULL AND x.indexprs IS NULL) AS indexed
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind = 'm'`,
    [schema, view],
  );
  if (rows[0] === undefined)
    throw new RefreshFailedError(view, 'it is gone from the database; apply the views');
  return rows[0];
}

function modeOf(view: string, locked: LockedView, target: Target): 'concurrently' | 'plain' {
  if (!target.populated || locked.refresh === 'plain') return 'plain';
  if (target.indexed) return 'concurrently';
  if (locked.refresh === 'auto') return 'plain';
  throw new MissingUniqueIndexError(view, wantedIndex(locked.tenant ?? undefined));
}

/**
 * Tells the outbox and the views above what changed; their tenants are the same where both know one. A plain view that
 * says which column is the tenant is told of as well, so that what is cached of it goes with the view it reads.
 */
async function tell(sql: SqlExecutor, view: string, changes: string): Promise<void> {
  await sql.query(
    `INSERT INTO cachekit.view_change (tenant, source, operation, key)
     SELECT c->>'tenant', $1, 'refresh', c->'key' FROM jsonb_array_elements($2::jsonb) c`,
    [view, changes],
  );
  await sql.query(
    `INSERT INTO cachekit.view_change (tenant, source, operation, key)
     SELECT DISTINCT CASE WHEN parent.tenant IS NOT NULL THEN c->>'tenant' END, e.child, 'refresh', '{}'::jsonb
     FROM cachekit.view_edge e
     JOIN cachekit.view child ON child.name = e.child AND child.kind = 'view' AND child.tenant IS NOT NULL
     JOIN cachekit.view parent ON parent.name = e.parent
     CROSS JOIN jsonb_array_elements($2::jsonb) c
     WHERE e.parent = $1`,
    [view, changes],
  );
  await sql.query(wakeSql(viewOutbox, 'select'));
  const { rowCount } = await sql.query(
    `INSERT INTO cachekit.mark (view, source, tenant, everything)
     SELECT DISTINCT e.child, $1, t.tenant, t.tenant IS NULL
     FROM cachekit.view_edge e
     JOIN cachekit.view child ON child.name = e.child AND child.kind = 'materialized'
     JOIN cachekit.view parent ON parent.name = e.parent
     CROSS JOIN jsonb_array_elements($2::jsonb) c
     CROSS JOIN LATERAL (SELECT CASE WHEN child.tenant IS NOT NULL AND parent.tenant IS NOT NULL THEN c->>'tenant' END AS tenant) t
     WHERE e.parent = $1`,
    [view, changes],
  );
  if (rowCount > 0) await sql.query(wakeSql(wakeSubject, 'select'));
}
