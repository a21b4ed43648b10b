import { quoteLiteral } from '@cachekit/core/postgres';
import { jsonRows } from '../sql/json-rows.ts';
import { ageText, type Examination, schemaOfUsers } from './examination.ts';
import { type Finding, finding } from './finding.ts';
import { ifReadable } from './probe.ts';

/** Transactions that are open for so long that nothing deleted since can be cleaned away. */
export async function longTransactions({ sql, patienceMs }: Examination): Promise<Finding[]> {
  const sessions = await jsonRows<{ pid: number; who: string; state: string; seconds: number }>(
    sql,
    `SELECT pid, concat_ws(' ', usename, nullif(application_name, '')) AS who, coalesce(state, 'unknown') AS state,
       extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds
     FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
       AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
       AND xact_start < clock_timestamp() - $1::float8 * interval '1 ms'
     ORDER BY xact_start`,
    [patienceMs],
  );
  const prepared = await jsonRows<{ gid: string; owner: string; seconds: number }>(
    sql,
    `SELECT gid, owner, extract(epoch FROM clock_timestamp() - prepared)::float8 AS seconds FROM pg_prepared_xacts
     WHERE database = current_database() AND prepared < clock_timestamp() - $1::float8 * interval '1 ms' ORDER BY prepared`,
    [patienceMs],
  );
  const found = sessions.map(({ pid, who, state, seconds }) =>
    finding(
      'long-transaction',
      `session ${pid}`,
      `${who} has a transaction open for ${ageText(seconds)} (${state}). While it is, no VACUUM removes what was deleted since: marks that were taken stay in their log, and each refresh reads past them.`,
      [`SELECT pg_terminate_backend(${pid})`],
    ),
  );
  return [
    ...found,
    ...prepared.map(({ gid, owner, seconds }) =>
      finding(
        'long-transaction',
        `prepared transaction ${gid}`,
        `${owner} prepared it ${ageText(seconds)} ago and nobody ended it. While it is there, no VACUUM removes what was deleted since, and it keeps its locks, also when the server starts anew. Whoever manages such transactions knows whether it is COMMIT PREPARED or ROLLBACK PREPARED.`,
        [],
      ),
    ),
  ];
}

/** Less log is kept for any slot. */
const slotBytes = 64 * 1024 * 1024;

/** Replication slots that nobody reads: the server keeps its log, and dead rows of its catalog, until somebody does. */
export async function inactiveSlots({ sql }: Examination): Promise<Finding[]> {
  const slots = await jsonRows<{ name: string; bytes: number }>(
    sql,
    `SELECT s.slot_name AS name, CASE WHEN pg_is_in_recovery() THEN 0 ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn) END::float8 AS bytes
     FROM pg_replication_slots s WHERE NOT s.active AND (s.database IS NULL OR s.database = current_database()) ORDER BY 1`,
  );
  return slots
    .filter(({ bytes }) => bytes > slotBytes)
    .map(({ name, bytes }) =>
      finding(
        'inactive-slot',
        name,
        `Nobody reads this replication slot, and the server keeps ${megabytes(bytes)} of its log for it, more with every write until the disk is full. If its consumer is gone for good, drop it.`,
        [`SELECT pg_drop_replication_slot(${quoteLiteral(name)})`],
      ),
    );
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

/** Below this size nothing is called bloated. */
const smallBytes = 4 * 1024 * 1024;
/** Times the size that the rows need. */
const bloated = 3;
/** Header of a row and its pointer, beyond what `pg_column_size` counts. */
const rowOverhead = 8;

interface Sized {
  readonly name: string;
  readonly kind: 'm' | 'r';
  readonly bytes: number;
  readonly rows: number;
  readonly fillfactor: number;
}

/** Stored views and tables of CacheKit that are mostly empty space. */
export async function bloatedRelations({ sql }: Examination): Promise<Finding[]> {
  const relations = await jsonRows<Sized>(
    sql,
    `SELECT c.oid::regclass::text AS name, c.relkind::text AS kind, pg_relation_size(c.oid) AS bytes, c.reltuples::float8 AS rows,
       coalesce((SELECT split_part(o, '=', 2)::integer FROM unnest(c.reloptions) o WHERE o LIKE 'fillfactor=%'), 100) AS fillfactor
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE (c.relkind = 'm' AND c.relispopulated AND ${schemaOfUsers} OR c.relkind = 'r' AND n.nspname = 'cachekit')
       AND pg_relation_size(c.oid) > ${smallBytes} ORDER BY 1`,
  );
  const findings: Finding[] = [];
  for (const { name, kind, bytes, rows, fillfactor } of relations) {
    // Statistics are none right after a refresh, and old ones say how many rows there were.
    const asked = `SELECT coalesce(avg(pg_column_size(t.*)), 0)::float8 AS width,
         (SELECT CASE WHEN $1::float8 < 0 THEN count(*)::float8 ELSE $1::float8 END FROM ONLY ${name} WHERE $1::float8 < 0) AS rows
       FROM (SELECT * FROM ONLY ${name} LIMIT 1000) t`;
    const [sample] =
      (await ifReadable(sql, (savepoint) =>
        jsonRows<{ width: number; rows: number }>(savepoint, asked, [rows]),
      )) ?? [];
    if (sample === undefined) continue;
    const needed = (sample.rows * (sample.width + rowOverhead) * 100) / fillfactor;
    if (bytes <= bloated * Math.max(needed, smallBytes / bloated)) continue;
    findings.push(
      finding(
        'bloat',
        name,
        `It takes ${megabytes(bytes)} where its rows need about ${megabytes(needed)}: refreshes delete and insert faster than VACUUM cleans, and every read goes through the rest. What mends it keeps readers waiting while it runs.`,
        [kind === 'm' ? `REFRESH MATERIALIZED VIEW ${name}` : `VACUUM (FULL, ANALYZE) ${name}`],
      ),
    );
  }
  return findings;
}

/** Stored views and tables of CacheKit that nobody cleans. */
export async function uncleanedRelations({ sql }: Examination): Promise<Finding[]> {
  const relations = await jsonRows<{ name: string; kind: string }>(
    sql,
    `SELECT c.oid::regclass::text AS name, c.relkind::text AS kind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE (c.relkind = 'm' AND ${schemaOfUsers} OR c.relkind = 'r' AND n.nspname = 'cachekit')
       AND EXISTS (SELECT FROM unnest(c.reloptions) o WHERE o IN ('autovacuum_enabled=false', 'autovacuum_enabled=off', 'autovacuum_enabled=0'))
     ORDER BY 1`,
  );
  return relations.map(({ name, kind }) =>
    finding(
      'autovacuum-off',
      name,
      'Autovacuum is switched off for it. Every refresh leaves dead rows behind, so it only grows, and the planner knows nothing of its rows.',
      [`ALTER ${kind === 'm' ? 'MATERIALIZED VIEW' : 'TABLE'} ${name} RESET (autovacuum_enabled)`],
    ),
  );
}
