import type { SqlExecutor } from '@cachekit/core';
import { jsonRows } from '../sql/json-rows.ts';
import type { RefreshedEvent } from './events.ts';

/** A refresh that failed, or took more than a second. */
export interface ViewRun {
  readonly endedAt: number;
  /** How it was done. Absent: it failed. */
  readonly mode?: RefreshedEvent['mode'];
  readonly durationMs?: number;
  /** Marks it took. */
  readonly marks?: number;
  /** Of a rollup: groups that it wrote or removed. */
  readonly groups?: number;
  /** Why it failed; at most 500 characters. */
  readonly error?: string;
}

/** What was counted of a view since it was first applied, by all processes. */
export interface ViewTotals {
  /** Refreshes that were committed; a look that found nothing to do is none. */
  readonly refreshes: number;
  /** Time they took. */
  readonly refreshMs: number;
  /** Of a rollup: groups that they wrote or removed. */
  readonly groups?: number;
  /** Refreshes that failed. */
  readonly failures: number;
}

/** How a materialized view or rollup stands. Times are milliseconds since the epoch by the database's clock. */
export interface ViewStatus {
  readonly view: string;
  /** Every change committed before this time is in the view. Absent: never refreshed. */
  readonly freshAsOf?: number;
  /** When the oldest change that is not in the view was made. Absent: the view is what its query gives. */
  readonly dirtySince?: number;
  /** Marks that wait; where a role may not read the table of a rollup, those of one statement may count as one. */
  readonly marks: number;
  /** Of a rollup, for a role that may read its table: groups that are to be computed again, about. */
  readonly dirtyGroups?: number;
  /** Some process refreshes it at the moment. */
  readonly running: boolean;
  /** How long the last refresh took. */
  readonly lastRunMs?: number;
  /** Failures in a row. */
  readonly failures: number;
  readonly lastError?: string;
  /** Nobody refreshes it by itself: because it failed too often, or because `pause` was called. */
  readonly paused?: 'failures' | 'call';
  readonly totals: ViewTotals;
  /** The last 20 refreshes that failed or were slow, newest first. */
  readonly runs: readonly ViewRun[];
}

/** Status of `views` in the order given; those that were never applied are left out. */
export async function readStatus(sql: SqlExecutor, views: readonly string[]): Promise<ViewStatus[]> {
  const rows = await jsonRows<{ status: ViewStatus & { readonly load?: string } }>(
    sql,
    `SELECT jsonb_strip_nulls(jsonb_build_object(
       'view', v.name,
       'freshAsOf', extract(epoch FROM v.fresh_as_of) * 1000,
       'dirtySince', (SELECT extract(epoch FROM min(m.at)) * 1000 FROM cachekit.mark m WHERE m.view = v.name),
       'running', EXISTS (SELECT FROM pg_locks l
          WHERE l.locktype = 'relation' AND l.granted AND (l.mode IN ('ExclusiveLock', 'AccessExclusiveLock')
              OR v.kind = 'rollup' AND l.mode = 'RowExclusiveLock')
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND l.relation = coalesce(to_regclass(to_jsonb(v)#>>'{rollup,program,table}'), to_regclass(format('%I.%I', v.schema, v.name)))),
       'marks', (SELECT count(*) FROM cachekit.mark m WHERE m.view = v.name),
       'load', CASE WHEN has_table_privilege(to_regclass(v.rollup#>>'{program,table}'), 'SELECT') THEN v.rollup#>>'{program,load}' END,
       'lastRunMs', v.last_run_ms,
       'failures', v.failures,
       'lastError', v.last_error,
       'paused', v.paused,
       'totals', jsonb_build_object('refreshes', v.refreshes, 'refreshMs', v.refresh_ms, 'failures', v.failed_refreshes,
          'groups', CASE WHEN v.kind = 'rollup' THEN v.changed_groups END),
       'runs', v.history)) AS status
     FROM cachekit.view v WHERE v.kind <> 'view' AND v.name = ANY ($1::text[])
     ORDER BY array_position($1::text[], v.name)`,
    [views],
  );
  const statuses: ViewStatus[] = [];
  for (const { status } of rows) {
    const { load, marks, ...rest } = status;
    if (load === undefined) statuses.push({ ...rest, marks });
    else {
      const [counted] = await jsonRows<{ marks: number; dirty: number }>(sql, load);
      statuses.push({ ...rest, marks: counted?.marks ?? 0, dirtyGroups: counted?.dirty ?? 0 });
    }
  }
  return statuses;
}
