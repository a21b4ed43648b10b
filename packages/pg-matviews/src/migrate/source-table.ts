import { ConfigurationError, type SqlExecutor } from '@cachekit/core';
import { parseQualifiedName, quoteQualified } from '@cachekit/core/postgres';
import { jsonRows } from '../sql/json-rows.ts';

/** One column of a source table. */
interface SourceColumn {
  readonly name: string;
  /** `pg_type.typname` of the column's own type. */
  readonly type: string;
  /** The type as SQL, with its length or precision. */
  readonly sqlType: string;
}

/** A table whose writes mark views, as it is in the database. */
export interface SourceTable {
  readonly oid: string;
  /** Schema and name, both quoted where they must be. */
  readonly name: string;
  readonly columns: readonly SourceColumn[];
  /** Source of the trigger function that is installed, if one is. */
  readonly installed: string | null;
  /** The table and, if it is partitioned, all its partitions. */
  readonly tables: readonly {
    readonly name: string;
    /** Names of CacheKit's triggers on it that are enabled. */
    readonly triggers: readonly string[];
  }[];
}

/**
 * The table called `name`, if there is one.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if it is something that can have no triggers with transition
 * tables (a view, a foreign table).
 */
export async function readSourceTable(sql: SqlExecutor, name: string): Promise<SourceTable | undefined> {
  const [table] = await jsonRows<SourceTable & { readonly kind: string }>(sql, sourceTableSql, [
    quoteQualified(parseQualifiedName(name)),
  ]);
  if (table !== undefined && table.kind !== 'r' && table.kind !== 'p') {
    throw new ConfigurationError(`Source "${name}": only a table can mark views`);
  }
  return table;
}

const sourceTableSql = `
SELECT c.oid::text AS oid, format('%I.%I', n.nspname, c.relname) AS name, c.relkind::text AS kind,
  (SELECT jsonb_agg(jsonb_build_object('name', a.attname, 'type', t.typname, 'sqlType', format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum)
   FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
  (SELECT p.prosrc FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
   WHERE g.tgrelid = c.oid AND g.tgname = 'cachekit_mark_insert') AS installed,
  (SELECT jsonb_agg(jsonb_build_object(
      'name', format('%I.%I', tn.nspname, tc.relname),
      'triggers', (SELECT coalesce(jsonb_agg(g.tgname ORDER BY g.tgname), '[]'::jsonb) FROM pg_trigger g
                   WHERE g.tgrelid = tc.oid AND g.tgname LIKE 'cachekit\\_mark\\_%' AND g.tgenabled IN ('O', 'A'))
    ) ORDER BY tn.nspname, tc.relname)
   FROM (SELECT c.oid AS relid UNION SELECT relid FROM pg_partition_tree(c.oid)) tree
   JOIN pg_class tc ON tc.oid = tree.relid JOIN pg_namespace tn ON tn.oid = tc.relnamespace) AS tables
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass($1)`;
