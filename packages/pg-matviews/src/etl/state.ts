import type { SqlExecutor } from '@cachekit/core';
import { installCoreSchema, lockMigrations } from '@cachekit/core/postgres';
import { jsonRows } from '../sql/json-rows.ts';
import type { CheckedEtl } from './definition.ts';
import type { EtlRisk, EtlRun } from './events.ts';
import type { Horizon } from './horizon.ts';

/**
 * Tables of the copy in the local database.
 *
 * - `etl`: one row per copy; its row lock is the lock of a run.
 * - `etl_source`: from where each source has to be looked at.
 * - `etl_run`: what the last runs did.
 */
const tablesSql: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS cachekit.etl (
  name text PRIMARY KEY,
  digest text NOT NULL,
  identity text,
  columns text[] NOT NULL DEFAULT '{}',
  kind text NOT NULL DEFAULT 'load',
  pending jsonb,
  after text,
  slot jsonb,
  started_at timestamptz,
  fresh_as_of timestamptz,
  keys_checked_at timestamptz,
  rows_checked_at timestamptz,
  risks jsonb NOT NULL DEFAULT '[]',
  failures integer NOT NULL DEFAULT 0,
  last_error text,
  failed_at timestamptz
)`,
  `CREATE TABLE IF NOT EXISTS cachekit.etl_source (
  etl text NOT NULL REFERENCES cachekit.etl ON DELETE CASCADE,
  source text NOT NULL,
  watermark text NOT NULL,
  xid text NOT NULL,
  PRIMARY KEY (etl, source)
)`,
  `CREATE TABLE IF NOT EXISTS cachekit.etl_run (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  etl text NOT NULL REFERENCES cachekit.etl ON DELETE CASCADE,
  ended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  run jsonb NOT NULL
)`,
];

/** In place of the watermark of a source that is read from the slot. */
export const toldBySlot = 'slot';

/** How many runs are kept. */
const keptRuns = 200;

/** What is remembered of a slot. */
export interface StoredSlot {
  /** Everything that it tells before is in the copy. */
  readonly position: string;
  /** Entries of the publication, per source. */
  readonly published: Readonly<Record<string, number | null>>;
  readonly name: string;
  readonly retainedBytes: number;
  readonly walStatus: string;
}

/** Where a copy stands. */
export interface EtlState {
  readonly digest: string;
  readonly identity: string | null;
  readonly columns: readonly string[];
  readonly kind: 'load' | 'changes';
  /** Horizon of the run that began and is not complete. */
  readonly pending: Horizon | null;
  /** Rows up to this key are done in that run. */
  readonly after: string | null;
  readonly startedAt: string | null;
  /** As it was when the last transaction was committed. */
  readonly slot: StoredSlot | null;
  readonly sources: Readonly<Record<string, Horizon>>;
}

export async function installState(sql: SqlExecutor, etl: CheckedEtl): Promise<void> {
  await installCoreSchema(sql);
  await sql.transaction(async (transaction) => {
    await lockMigrations(transaction);
    for (const statement of tablesSql) await transaction.query(statement);
    await transaction.query(
      'INSERT INTO cachekit.etl (name, digest) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING',
      [etl.name, etl.digest],
    );
  });
}

/**
 * Takes the turn for the rest of the transaction; `undefined` if another process has it.
 *
 * Whatever is read from the remote database afterwards is newer than what the previous turn wrote.
 */
export async function takeTurn(local: SqlExecutor, name: string): Promise<EtlState | undefined> {
  const { rowCount } = await local.query('SELECT FROM cachekit.etl WHERE name = $1 FOR UPDATE SKIP LOCKED', [
    name,
  ]);
  if (rowCount === 0) return undefined;
  const [state] = await jsonRows<EtlState>(
    local,
    `SELECT digest, identity, columns, kind, pending, after, slot, started_at::text AS "startedAt",
       coalesce((SELECT jsonb_object_agg(source, jsonb_build_object('watermark', watermark, 'xid', xid))
         FROM cachekit.etl_source WHERE etl = name), '{}') AS sources
     FROM cachekit.etl WHERE name = $1`,
    [name],
  );
  return state;
}

/** Whether there is a copy of that name. */
export async function isInstalled(local: SqlExecutor, name: string): Promise<boolean> {
  const { rows } = await local.query<{ there: boolean }>(
    `SELECT to_regclass('cachekit.etl') IS NOT NULL AS there`,
  );
  if (rows[0]?.there !== true) return false;
  const { rowCount } = await local.query('SELECT FROM cachekit.etl WHERE name = $1', [name]);
  return rowCount > 0;
}

/** What is to be remembered of a transaction, together with the rows it wrote. */
export interface EtlProgress {
  readonly digest: string;
  readonly identity: string;
  readonly columns: readonly string[];
  readonly kind: 'load' | 'changes';
  readonly horizon: Horizon;
  readonly startedAt: string;
  readonly after: string | undefined;
  /** Everything is done. */
  readonly complete: boolean;
  readonly slot: StoredSlot | undefined;
  readonly risks: readonly EtlRisk[];
}

export async function storeProgress(
  local: SqlExecutor,
  etl: CheckedEtl,
  progress: EtlProgress,
): Promise<void> {
  const { horizon, after, complete, slot } = progress;
  await local.query(
    `UPDATE cachekit.etl SET digest = $2, identity = $3, columns = $4, kind = $5, pending = $6::jsonb, after = $7,
       started_at = $8::timestamptz, fresh_as_of = CASE WHEN $9 THEN $8::timestamptz ELSE fresh_as_of END,
       risks = $10::jsonb, slot = $11::jsonb, failures = 0, last_error = NULL, failed_at = NULL WHERE name = $1`,
    [
      etl.name,
      progress.digest,
      progress.identity,
      progress.columns,
      complete ? 'changes' : progress.kind,
      complete ? null : JSON.stringify(horizon),
      after ?? null,
      progress.startedAt,
      complete,
      JSON.stringify(progress.risks),
      slot === undefined ? null : JSON.stringify(slot),
    ],
  );
  if (!complete) return;
  await local.query('DELETE FROM cachekit.etl_source WHERE etl = $1', [etl.name]);
  await local.query(
    'INSERT INTO cachekit.etl_source (etl, source, watermark, xid) SELECT $1, unnest($2::text[]), unnest($3::text[]), $4',
    [
      etl.name,
      etl.sources.map(({ name }) => name),
      etl.sources.map((source) => (source.slot ? toldBySlot : horizon.watermark)),
      horizon.xid,
    ],
  );
}

/** Adds a run to the log of the last ones, in the transaction that did it. */
export async function storeRun(local: SqlExecutor, run: EtlRun): Promise<void> {
  await local.query('INSERT INTO cachekit.etl_run (etl, run) VALUES ($1, $2::jsonb)', [
    run.etl,
    JSON.stringify(run),
  ]);
  await local.query(
    `DELETE FROM cachekit.etl_run WHERE etl = $1 AND id <= (
       SELECT id FROM cachekit.etl_run WHERE etl = $1 ORDER BY id DESC OFFSET $2 LIMIT 1)`,
    [run.etl, keptRuns],
  );
}

/** Remembers when everything was compared last. */
export async function storeCheck(local: SqlExecutor, name: string, kind: 'keys' | 'rows'): Promise<void> {
  await local.query(
    `UPDATE cachekit.etl SET keys_checked_at = clock_timestamp(),
       rows_checked_at = CASE WHEN $2 THEN clock_timestamp() ELSE rows_checked_at END,
       failures = 0, last_error = NULL, failed_at = NULL WHERE name = $1`,
    [name, kind === 'rows'],
  );
}

/** @param risks - What they are from now on, if the failure tells. */
export async function storeFailure(
  local: SqlExecutor,
  name: string,
  error: unknown,
  risks: readonly EtlRisk[] | undefined,
): Promise<void> {
  const message = (error instanceof Error ? error.message || error.name : String(error)).replaceAll('\0', '');
  await local.query(
    `UPDATE cachekit.etl SET failures = failures + 1, last_error = $2, failed_at = clock_timestamp(), risks = coalesce($3::jsonb, risks)
     WHERE name IN (SELECT name FROM cachekit.etl WHERE name = $1 FOR UPDATE SKIP LOCKED)`,
    [name, message, risks === undefined ? null : JSON.stringify(risks)],
  );
}
