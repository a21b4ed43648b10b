import type { SqlExecutor } from '@cachekit/core';
import { sqlState } from '../sql/sql-state.ts';
import { columnsOf } from './columns.ts';
import type { CheckedEtl } from './definition.ts';
import type { EtlRisk } from './events.ts';

/** Between the start of a transaction and the moment others can see it in `pg_stat_activity`. */
const startMarginMs = 5;

const iso = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"';

/** From where the next run has to look. */
export interface Horizon {
  /** No change that this run cannot see is dated earlier; text of a timestamptz, `-infinity` if nothing is known. */
  readonly watermark: string;
  /** No transaction that this run cannot see has a smaller id. */
  readonly xid: string;
}

/** What is read before the snapshot. */
export interface Outlook {
  /** Absent while it cannot be told: the previous one stays. */
  readonly watermark: string | undefined;
  /** Another database, restored or failed over, has another identity, and so has a view that means something else, or a table in the place of another. */
  readonly identity: string;
  readonly risks: readonly EtlRisk[];
}

/**
 * Reads how far back a change can be dated that the next snapshot does not show.
 *
 * Must run before the snapshot is taken: a transaction that ends in between is then in the snapshot and in the
 * watermark, the other way round it would be in neither. Transactions without an id count too, because they may still
 * get one. Where a transaction is prepared its start cannot be seen, so the watermark stays where it was.
 */
export async function readOutlook(remote: SqlExecutor, etl: CheckedEtl): Promise<Outlook> {
  const { rows } = await remote.query<{
    permitted: boolean;
    tracked: boolean;
    prepared: string;
    oldest: string;
    blind: string;
    identity: string;
  }>(
    `SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS permitted,
       current_setting('track_activities')::boolean AS tracked,
       (SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database())::text AS prepared,
       to_char((least(statement_timestamp(),
           (SELECT min(xact_start) FROM pg_stat_activity WHERE datname = current_database()))
         - $1::float8 * interval '1 ms') AT TIME ZONE 'UTC', '${iso}') AS oldest,
       to_char((statement_timestamp() - $2::float8 * interval '1 ms') AT TIME ZONE 'UTC', '${iso}') AS blind,
       (SELECT oid FROM pg_database WHERE datname = current_database())::text AS identity`,
    [etl.skewMs + startMarginMs, etl.overlapMs + etl.skewMs],
  );
  const row = rows[0];
  if (row === undefined) throw new Error('The remote database gave no answer');
  const risks: EtlRisk[] = [];
  const dated = etl.sources.some(({ column }) => column !== undefined);
  if (dated && !row.permitted) {
    risks.push({
      reason: 'PG_READ_ALL_STATS_MISSING',
      detail: `changes of transactions longer than the overlap of ${etl.overlapMs} ms may be missed; GRANT pg_read_all_stats, or use changed: "xmin"`,
    });
  } else if (dated && !row.tracked) {
    risks.push({
      reason: 'ACTIVITY_NOT_TRACKED',
      detail:
        'track_activities is off, so running transactions cannot be seen; switch it on, or use changed: "xmin"',
    });
  }
  if (row.prepared !== '0') {
    risks.push({
      reason: 'PREPARED_TRANSACTION',
      detail: `${row.prepared} prepared transaction(s): changes are read again from the last watermark until they end`,
    });
  }
  const sees = row.permitted && row.tracked;
  return {
    watermark: row.prepared === '0' ? (sees ? row.oldest : row.blind) : undefined,
    identity: `${row.identity}/${await systemIdentity(remote)}/${await meaningOf(remote, etl)}`,
    risks: [...risks, ...(await nullableRisks(remote, etl))],
  };
}

/** Inside the snapshot: which transactions it cannot see. */
export async function snapshotXid(transaction: SqlExecutor): Promise<string> {
  const { rows } = await transaction.query<{ xid: string }>(
    'SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xid',
  );
  return String(rows[0]?.xid);
}

/** Hosted servers may keep this to themselves; the OID of the database is left then. */
async function systemIdentity(remote: SqlExecutor): Promise<string> {
  try {
    const { rows } = await remote.query<{ identity: string }>(
      `SELECT (SELECT system_identifier FROM pg_control_system()) || '.' || (SELECT timeline_id FROM pg_control_checkpoint()) AS identity`,
    );
    return String(rows[0]?.identity);
  } catch (error) {
    if (!/^(42|0A)/.test(sqlState(error) ?? '')) throw error;
    return '';
  }
}

/** A digest of the view, of all views and tables below it, and of the sources. */
async function meaningOf(remote: SqlExecutor, { from, sources }: CheckedEtl): Promise<string> {
  const { rows } = await remote.query<{ meaning: string | null }>(
    `WITH RECURSIVE below AS (
       SELECT to_regclass(name)::oid AS oid FROM unnest($1::text[]) name
       UNION
       SELECT d.refobjid FROM below b JOIN pg_rewrite r ON r.ev_class = b.oid
         JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass)
     SELECT md5(string_agg(m.one, '' ORDER BY m.one)) AS meaning FROM below b JOIN pg_class c ON c.oid = b.oid
       CROSS JOIN LATERAL (SELECT md5(CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) ELSE c.oid::text END)) m (one)`,
    [[from, ...sources.map(({ table }) => table)]],
  );
  return rows[0]?.meaning ?? '';
}

async function nullableRisks(remote: SqlExecutor, etl: CheckedEtl): Promise<EtlRisk[]> {
  const risks: EtlRisk[] = [];
  for (const source of etl.sources) {
    if (source.column === undefined) continue;
    const columns = await columnsOf(remote, source.table);
    if (columns.find(({ name }) => name === source.column)?.nullable !== true) continue;
    risks.push({
      reason: 'CHANGED_NULLABLE',
      detail: `rows of ${source.table} whose "${source.column}" is NULL are found by reconcile() only`,
    });
  }
  return risks;
}
