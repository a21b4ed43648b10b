import { ConfigurationError, type SqlExecutor } from '@cachekit/core';
import { parseQualifiedName, quoteQualified } from '@cachekit/core/postgres';
import { jsonRows } from '../sql/json-rows.ts';
import { markFunctionName } from '../sql/mark-trigger.ts';

/** One column of a source table. */
interface SourceColumn {
  readonly name: string;
  /** `pg_type.typname` of its type, below all domains. */
  readonly type: string;
  /** That type as SQL, with its length or precision. A domain may refuse the NULL of a mark that is about everything. */
  readonly sqlType: string;
  /** ` COLLATE ...` where equal texts may differ, else empty. */
  readonly collation: string;
  /** Schema with the operators of a type that is none of the server's own. */
  readonly schema: string | null;
  /** What a virtual generated column is computed from; triggers see none. */
  readonly expression: string | null;
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
  /** Tables that were parts of it, or had its name, and still have its triggers. */
  readonly detached: readonly string[];
}

/** A table whose rows are among those of a source. */
export interface SourcePart {
  readonly name: string;
  /** It holds rows itself. */
  readonly stored: boolean;
  /** Names of CacheKit's triggers on it that are enabled and call the functions of the source. */
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
  const qualified = quoteQualified(parseQualifiedName(name));
  const [there] = await jsonRows<{ name: string }>(sql, `${namedSql} WHERE c.oid = to_regclass($1)`, [
    qualified,
  ]);
  if (there === undefined) return undefined;
  const [table] = await jsonRows<SourceTable & { readonly kinds: readonly string[] }>(sql, sourceTableSql, [
    qualified,
    markFunctionName(there.name),
    markFunctionName(there.name, 'row'),
  ]);
  if (table === undefined) return undefined;
  if (table.kinds.some((kind) => kind !== 'r' && kind !== 'p')) {
    throw new ConfigurationError(
      `Source "${name}": only a table can mark views, and none with foreign parts; name the tables that it reads`,
    );
  }
  const detached = await jsonRows<{ name: string }>(sql, detachedSql, [
    table.oid,
    markFunctionName(there.name),
    markFunctionName(there.name, 'row'),
  ]);
  return { ...table, detached: detached.map((one) => one.name) };
}

/** Tables that inherit, as partitions do: the oid of the source is `$1` or a column of the query around. */
const partsSql = (root: string): string => `WITH RECURSIVE parts (relid) AS (
    SELECT ${root} UNION SELECT i.inhrelid FROM parts JOIN pg_inherits i ON i.inhparent = parts.relid)`;

const namedSql = `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace`;

/** A table that was renamed keeps its triggers, and they call the function of the name it had. */
const calls = (parameter: string): string => `g.tgfoid = to_regproc(${parameter})`;

const sourceTableSql = `
SELECT c.oid::text AS oid, format('%I.%I', n.nspname, c.relname) AS name,
  (SELECT jsonb_agg(jsonb_build_object('name', a.attname, 'type', t.typname, 'sqlType', format_type(t.oid, b.typmod),
       'collation', coalesce((SELECT format(' COLLATE %I.%I', s.nspname, l.collname) FROM pg_collation l JOIN pg_namespace s ON s.oid = l.collnamespace
         WHERE l.oid = a.attcollation AND NOT l.collisdeterministic), ''),
       'schema', CASE WHEN t.typtype = 'b' AND t.typcategory <> 'A' AND t.typnamespace <> 'pg_catalog'::regnamespace
         THEN (SELECT s.nspname FROM pg_namespace s WHERE s.oid = t.typnamespace) END,
       'expression', CASE WHEN a.attgenerated = 'v'
         THEN (SELECT pg_get_expr(e.adbin, e.adrelid) FROM pg_attrdef e WHERE e.adrelid = a.attrelid AND e.adnum = a.attnum) END
     ) ORDER BY a.attnum)
   FROM pg_attribute a
   CROSS JOIN LATERAL (WITH RECURSIVE below (oid, typmod) AS (SELECT a.atttypid, a.atttypmod UNION ALL
       SELECT d.typbasetype, d.typtypmod FROM below JOIN pg_type d ON d.oid = below.oid AND d.typtype = 'd')
     SELECT * FROM below) b
   JOIN pg_type t ON t.oid = b.oid AND t.typtype <> 'd'
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
  (SELECT p.prosrc FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
   WHERE g.tgrelid = c.oid AND g.tgname = 'cachekit_mark_insert' AND ${calls('$2')}) AS installed,
  (${partsSql('c.oid')} SELECT min(p.prosrc) FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
   WHERE g.tgrelid IN (SELECT relid FROM parts) AND g.tgname = 'cachekit_mark_row' AND ${calls('$3')}) AS "installedForRows",
  (${partsSql('c.oid')} SELECT EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid IN (SELECT relid FROM parts))) AS subscribed,
  (${partsSql('c.oid')} SELECT jsonb_agg(tc.relkind) FROM parts JOIN pg_class tc ON tc.oid = parts.relid) AS kinds,
  (${partsSql('c.oid')} SELECT jsonb_agg(jsonb_build_object(
      'name', format('%I.%I', tn.nspname, tc.relname),
      'stored', tc.relkind = 'r',
      'triggers', (SELECT coalesce(jsonb_agg(g.tgname ORDER BY g.tgname), '[]'::jsonb) FROM pg_trigger g
                   WHERE g.tgrelid = tc.oid AND g.tgname LIKE 'cachekit\\_mark\\_%' AND g.tgenabled IN ('O', 'A') AND (${calls('$2')} OR ${calls('$3')})),
      'replicates', (SELECT count(*) = CASE WHEN tc.relkind = 'r' THEN 2 ELSE 1 END FROM pg_trigger g WHERE g.tgrelid = tc.oid
                     AND (g.tgname = 'cachekit_mark_row' AND g.tgenabled IN ('R', 'A') AND tc.relkind = 'r' AND ${calls('$3')}
                       OR g.tgname = 'cachekit_mark_truncate' AND g.tgenabled = 'A' AND ${calls('$2')}))
    ) ORDER BY tn.nspname, tc.relname)
   FROM parts JOIN pg_class tc ON tc.oid = parts.relid JOIN pg_namespace tn ON tn.oid = tc.relnamespace) AS tables
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass($1)`;

const detachedSql = `${partsSql('$1::oid')}
SELECT DISTINCT format('%I.%I', n.nspname, c.relname) AS name
FROM pg_trigger g
JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE (${calls('$2')} OR ${calls('$3')}) AND g.tgrelid NOT IN (SELECT relid FROM parts) ORDER BY 1`;
