import { liveName } from '../rollup/compiled-rollup.ts';
import { jsonRows } from '../sql/json-rows.ts';
import { referencesOf } from '../sql/references.ts';
import { scanSql } from '../sql/scan.ts';
import { type Examination, schemaOfUsers } from './examination.ts';
import { type Finding, finding } from './finding.ts';

/** Functions whose own `statement_timeout` bounds nothing. */
export async function functionsWithTimeout({ sql }: Examination): Promise<Finding[]> {
  const functions = await jsonRows<{ name: string }>(
    sql,
    `SELECT p.oid::regprocedure::text AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE ${schemaOfUsers} AND EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c LIKE 'statement\\_timeout=%') ORDER BY 1`,
  );
  return functions.map(({ name }) =>
    finding(
      'timeout-in-function',
      name,
      'Its SET statement_timeout does not bound the call: the clock of a statement is set when it arrives. Say SET LOCAL statement_timeout in the transaction before the call.',
      [`ALTER FUNCTION ${name} RESET statement_timeout`],
    ),
  );
}

interface UsedFunction {
  readonly name: string;
  readonly body: string;
  readonly views: readonly string[];
}

/** Functions of stored views that find other things by the search path, which is empty in a refresh from version 17 on. */
export async function functionsWithoutPath({ sql, schema, records }: Examination): Promise<Finding[]> {
  const functions = await jsonRows<UsedFunction>(
    sql,
    `WITH RECURSIVE below (view, oid) AS (
       SELECT c.oid, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE (c.relkind = 'm' OR EXISTS (SELECT FROM jsonb_array_elements_text($1::jsonb) r WHERE r = c.relname)) AND ${schemaOfUsers}
       UNION
       SELECT b.view, d.refobjid FROM below b JOIN pg_rewrite r ON r.ev_class = b.oid
       JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
       JOIN pg_class c ON c.oid = d.refobjid AND c.relkind = 'v')
     SELECT p.oid::regprocedure::text AS name, p.prosrc AS body, jsonb_agg(DISTINCT b.view::regclass::text) AS views
     FROM below b JOIN pg_rewrite r ON r.ev_class = b.oid
     JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_proc'::regclass
     JOIN pg_proc p ON p.oid = d.refobjid JOIN pg_language l ON l.oid = p.prolang AND l.lanname IN ('sql', 'plpgsql')
     JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE ${schemaOfUsers} AND p.prosqlbody IS NULL
       AND NOT EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c LIKE 'search\\_path=%')
     GROUP BY p.oid, p.prosrc ORDER BY 1`,
    [JSON.stringify(records.views.flatMap(({ name, rollup }) => (rollup === null ? [] : [liveName(name)])))],
  );
  if (functions.length === 0) return [];
  const known = new Set(
    (
      await jsonRows<{ name: string }>(
        sql,
        `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND ${schemaOfUsers}
         UNION SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE ${schemaOfUsers}`,
      )
    ).map(({ name }) => name),
  );
  const path = schema === 'public' ? 'public, pg_temp' : `"${schema.replaceAll('"', '""')}", public, pg_temp`;
  return functions
    .filter(({ body }) =>
      referencesOf(scanSql(body)).some((one) => one.schema === undefined && known.has(one.name)),
    )
    .map(({ name, views }) =>
      finding(
        'function-search-path',
        name,
        `${views.join(', ')} uses it, and it names things without their schema. From PostgreSQL 17 on CREATE and REFRESH of a materialized view run with an empty search path, so it fails (42P01, 42883); before, it depends on who refreshes.`,
        [`ALTER FUNCTION ${name} SET search_path = ${path}`],
      ),
    );
}
