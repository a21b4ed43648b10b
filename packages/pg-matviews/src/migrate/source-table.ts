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
  /** Source of the one for rows that a subscription applies, if one is. */
  readonly installedForRows: string | null;
  /** A subscription writes to it, or to a part of it. */
  readonly subscribed: boolean;
  /** The table with its partitions, or with the tables that inherit from it. */
  readonly tables: readonly SourcePart[];
  /** Tables that were parts of it, and still have its triggers. */
  readonly detached: readonly string[];
}

/** A table whose rows are among those of a source. */
export interface SourcePart {
  readonly name: string;
  /** It holds rows itself. */
  readonly stored: boolean;
  /** Names of CacheKit's statement triggers on it that are enabled. */
  readonly triggers: readonly string[];
  /** The trigger for rows that a subscription applies, and that for its TRUNCATE, are there. */
  readonly replicates: boolean;
}

/**
 * The table called `name`, if there is one.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if it, or a part of it, is something that can have no triggers with
 * transition tables (a view, a foreign table): a write that reached one would fail.
 */
export async function readSourceTable(sql: SqlExecutor, name: string): Promise<SourceTable | undefined> {
  const [table] = await jsonRows<SourceTable & { readonly kinds: readonly string[] }>(sql, sourceTableSql, [
    quoteQualified(parseQualifiedName(name)),
  ]);
  if (table === undefined) return undefined;
  if (table.kinds.some((kind) => kind !== 'r' && kind !== 'p')) {
    throw new ConfigurationError(
      `Source "${name}": only a table can mark views, and none with foreign parts; name the tables that it reads`,
    );
  }
  const detached = await jsonRows<{ name: string }>(sql, detachedSql, [table.oid]);
  return { ...table, detached: detached.map((one) => one.name) };
}

/** Tables that inherit, as partitions do: the oid of the source is `$1` or a column of the query around. */
const partsSql = (root: string): string => `WITH RECURSIVE parts (relid) AS (
    SELECT ${root} UNION SELECT i.inhrelid FROM parts JOIN pg_inherits i ON i.inhparent = parts.relid)`;

const sourceTableSql = `
SELECT c.oid::text AS oid, format('%I.%I', n.nspname, c.relname) AS name,
  (SELECT jsonb_agg(jsonb_build_object('name', a.attname, 'type', t.typname, 'sqlType', format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum)
   FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
  (SELECT p.prosrc FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
   WHERE g.tgrelid = c.oid AND g.tgname = 'cachekit_mark_insert') AS installed,
  (${partsSql('c.oid')} SELECT min(p.prosrc) FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
   WHERE g.tgrelid IN (SELECT relid FROM parts) AND g.tgname = 'cachekit_mark_row') AS "installedForRows",
  (${partsSql('c.oid')} SELECT EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid IN (SELECT relid FROM parts))) AS subscribed,
  (${partsSql('c.oid')} SELECT jsonb_agg(tc.relkind) FROM parts JOIN pg_class tc ON tc.oid = parts.relid) AS kinds,
  (${partsSql('c.oid')} SELECT jsonb_agg(jsonb_build_object(
      'name', format('%I.%I', tn.nspname, tc.relname),
      'stored', tc.relkind = 'r',
      'triggers', (SELECT coalesce(jsonb_agg(g.tgname ORDER BY g.tgname), '[]'::jsonb) FROM pg_trigger g
                   WHERE g.tgrelid = tc.oid AND g.tgname LIKE 'cachekit\\_mark\\_%' AND g.tgenabled IN ('O', 'A')),
      'replicates', (SELECT count(*) = CASE WHEN tc.relkind = 'r' THEN 2 ELSE 1 END FROM pg_trigger g WHERE g.tgrelid = tc.oid
                     AND (g.tgname = 'cachekit_mark_row' AND g.tgenabled IN ('R', 'A') AND tc.relkind = 'r'
                       OR g.tgname = 'cachekit_mark_truncate' AND g.tgenabled = 'A'))
    ) ORDER BY tn.nspname, tc.relname)
   FROM parts JOIN pg_class tc ON tc.oid = parts.relid JOIN pg_namespace tn ON tn.oid = tc.relnamespace) AS tables
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass($1)`;

const detachedSql = `${partsSql('$1::oid')}
SELECT DISTINCT format('%I.%I', n.nspname, c.relname) AS name
FROM pg_trigger own
JOIN pg_trigger g ON g.tgfoid = own.tgfoid AND g.tgrelid NOT IN (SELECT relid FROM parts)
JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE own.tgrelid = $1::oid AND own.tgname = 'cachekit_mark_insert' ORDER BY 1`;
