import { jsonRows } from '../sql/json-rows.ts';
import { type Examination, schemaOfUsers } from './examination.ts';
import { type Finding, finding } from './finding.ts';

/** Indexes that a failed CREATE or REINDEX ... CONCURRENTLY has left: writers keep them, nobody can use them. */
export async function invalidIndexes({ sql }: Examination): Promise<Finding[]> {
  const indexes = await jsonRows<{ name: string; relation: string; leftover: boolean }>(
    sql,
    `SELECT format('%I.%I', n.nspname, i.relname) AS name, format('%I.%I', n.nspname, c.relname) AS relation,
       i.relname ~ '_cc(new|old)\\d*$' AS leftover
     FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
     JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT x.indisvalid AND i.relkind = 'i' AND (${schemaOfUsers} OR n.nspname = 'cachekit')
       AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = x.indexrelid)
     ORDER BY 1`,
  );
  return indexes.map(({ name, relation, leftover }) =>
    finding(
      'index-invalid',
      name,
      `An index of ${relation} is invalid: writes pay for it, no query and no REFRESH ... CONCURRENTLY can use it.`,
      [leftover ? `DROP INDEX CONCURRENTLY ${name}` : `REINDEX INDEX CONCURRENTLY ${name}`],
    ),
  );
}
