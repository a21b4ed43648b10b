import type { SqlExecutor } from '@cachekit/core';
import { jsonRows } from '../sql/json-rows.ts';
import type { EtlRisk, EtlRun } from './events.ts';
import { isInstalled } from './state.ts';

/** The slot of a copy, as it was at the last run; while nobody runs, it grows unseen. */
export interface EtlSlot {
  readonly name: string;
  /** Bytes of WAL that the remote server kept for it before the run. */
  readonly retainedBytes: number;
  /** As `pg_replication_slots.wal_status` says it. */
  readonly walStatus: string;
}

/** How a copy stands, read from the local database alone. */
export interface EtlStatus {
  readonly etl: string;
  /** Everything committed in the remote database before this time is in the copy, by the local clock; absent before the first load. */
  readonly freshAsOf: number | undefined;
  /** Age of the copy. */
  readonly lagMs: number | undefined;
  /** Rows in the local table, as its statistics estimate. */
  readonly rows: number;
  /** A run of several transactions has begun and is not complete. */
  readonly incomplete: boolean;
  /** Whether changes may be missed; `risks` say why. */
  readonly atRisk: boolean;
  readonly risks: readonly EtlRisk[];
  /** Runs that failed since the last one that did not. */
  readonly failures: number;
  readonly lastError: string | undefined;
  /** Absent without a source that says `changed: 'slot'`. */
  readonly slot: EtlSlot | undefined;
  readonly keysCheckedAt: number | undefined;
  readonly rowsCheckedAt: number | undefined;
  /** The last runs that did something, newest first. */
  readonly runs: readonly (EtlRun & { readonly endedAt: number })[];
}

/** Reasons that only cost work or a column. */
const harmless: readonly EtlRisk['reason'][] = [
  'PREPARED_TRANSACTION',
  'COLUMN_NOT_COPIED',
  'SLOT_WITHOUT_LIMIT',
];

export async function readEtlStatus(
  local: SqlExecutor,
  name: string,
  table: string,
): Promise<EtlStatus | undefined> {
  if (!(await isInstalled(local, name))) return undefined;
  const [row] = await jsonRows<{
    freshAsOf: number | null;
    lagMs: number | null;
    keysCheckedAt: number | null;
    rowsCheckedAt: number | null;
    rows: number;
    incomplete: boolean;
    risks: EtlRisk[];
    failures: number;
    lastError: string | null;
    slot: EtlSlot | null;
    runs: (EtlRun & { endedAt: number })[];
  }>(
    local,
    `SELECT ${ms('fresh_as_of')} AS "freshAsOf", greatest(0, extract(epoch FROM clock_timestamp() - fresh_as_of) * 1000)::float8 AS "lagMs",
       ${ms('keys_checked_at')} AS "keysCheckedAt", ${ms('rows_checked_at')} AS "rowsCheckedAt",
       coalesce((SELECT greatest(0, reltuples)::bigint FROM pg_class WHERE oid = to_regclass($2)), 0) AS rows,
       pending IS NOT NULL AS incomplete, risks, failures, last_error AS "lastError", slot - 'position' - 'published' AS slot,
       coalesce((SELECT jsonb_agg(r.run || jsonb_build_object('endedAt', ${ms('r.ended_at')}) ORDER BY r.id DESC)
         FROM (SELECT * FROM cachekit.etl_run WHERE etl = $1 ORDER BY id DESC LIMIT 20) r), '[]') AS runs
     FROM cachekit.etl WHERE name = $1`,
    [name, table],
  );
  if (row === undefined) return undefined;
  return {
    etl: name,
    freshAsOf: row.freshAsOf ?? undefined,
    lagMs: row.lagMs ?? undefined,
    rows: row.rows,
    incomplete: row.incomplete,
    atRisk: row.risks.some(({ reason }) => !harmless.includes(reason)),
    risks: row.risks,
    failures: row.failures,
    lastError: row.lastError ?? undefined,
    slot: row.slot ?? undefined,
    keysCheckedAt: row.keysCheckedAt ?? undefined,
    rowsCheckedAt: row.rowsCheckedAt ?? undefined,
    runs: row.runs,
  };
}

const ms = (column: string): string => `(extract(epoch FROM ${column}) * 1000)::float8`;
