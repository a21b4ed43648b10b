import { quoteIdentifier } from '@cachekit/core/postgres';
import { jsonRows } from '../sql/json-rows.ts';
import { refreshFunctions } from '../sql/refresh-function.ts';
import { type Examination, schemaOfUsers } from './examination.ts';
import { type Finding, finding } from './finding.ts';

interface MissingRight {
  /** Who lacks it. */
  readonly who: string;
  readonly object: string;
  readonly owner: string;
  readonly why: 'schema' | 'state' | 'function' | 'source' | 'refresh' | 'owner';
  readonly missing: string;
}

/** What the role that refreshes, and those as whom the functions and views run, need and do not have. */
export async function missingRights({ sql, records, role }: Examination): Promise<Finding[]> {
  if (!records.installed) return [];
  const { rows } = await sql.query<{ version: string }>(
    `SELECT current_setting('server_version_num') AS version`,
  );
  const maintain = Number(rows[0]?.version) >= 170_000;
  const missing = await jsonRows<MissingRight>(sql, missingSql(maintain), [
    role,
    JSON.stringify(refreshFunctions),
  ]);
  return missing.map((right) => {
    const to = quoteIdentifier(right.who);
    const what =
      right.why === 'schema'
        ? `SCHEMA ${right.object}`
        : right.why === 'function'
          ? `FUNCTION ${right.object}`
          : right.object;
    const mend =
      right.why === 'refresh' && !maintain
        ? `GRANT ${quoteIdentifier(right.owner)} TO ${to}`
        : `GRANT ${right.missing} ON ${what} TO ${to}`;
    return finding('right-missing', `${right.who}: ${right.object}`, reasons[right.why](right), [mend]);
  });
}

const reasons: Readonly<Record<MissingRight['why'], (right: MissingRight) => string>> = {
  schema: ({ who }) => `${who}, which refreshes, may not use the schema (42501).`,
  state: ({ who, missing }) => `${who}, which refreshes, needs ${missing} on it (42501).`,
  function: ({ who }) => `${who}, which refreshes, may not call it (42501).`,
  source: ({ who }) =>
    `Refreshes of a rollup run as ${who}, which applied it, and ${who} may not read the table (42501).`,
  refresh: ({ who, owner }) =>
    `Refreshes run as ${who}, which applied the views, and only ${owner}, the owner of this one, may refresh it (42501 "must be owner").`,
  owner: ({ who }) =>
    `A view of ${who} reads it, a refresh runs with the rights of the owner of the view, and ${who} may not read it (42501).`,
};

const missingSql = (maintain: boolean): string => `
WITH tables (oid, privilege) AS (
  SELECT to_regclass('cachekit.' || t.name), unnest(t.privileges)
  FROM (VALUES ('view', '{SELECT,UPDATE}'::text[]), ('view_edge', '{SELECT}'), ('mark', '{SELECT}'), ('wake', '{INSERT,SELECT,UPDATE}')) t (name, privileges)
  UNION ALL
  SELECT to_regclass(v.rollup#>>'{program,log}'), unnest('{INSERT,SELECT}'::text[]) FROM cachekit.view v WHERE v.kind = 'rollup'
), functions (oid) AS (
  SELECT to_regprocedure(f) FROM jsonb_array_elements_text($2::jsonb) f
), runs (kind, who) AS (
  SELECT 'rollup', pg_get_userbyid(p.proowner) FROM pg_proc p WHERE p.oid = to_regprocedure('cachekit.refresh_rollup(text, boolean, numeric)')
  UNION ALL
  SELECT 'materialized', pg_get_userbyid(p.proowner) FROM pg_proc p WHERE p.oid = to_regprocedure('cachekit.refresh_materialized(text, boolean, numeric)')
)
SELECT $1::text AS who, 'cachekit' AS object, '' AS owner, 'schema' AS why, 'USAGE' AS missing
WHERE NOT has_schema_privilege($1, 'cachekit', 'USAGE')
UNION ALL
SELECT $1, t.oid::regclass::text, '', 'state', string_agg(t.privilege, ', ' ORDER BY t.privilege)
FROM tables t WHERE t.oid IS NOT NULL AND NOT has_table_privilege($1, t.oid, t.privilege) GROUP BY t.oid
UNION ALL
SELECT $1, f.oid::regprocedure::text, '', 'function', 'EXECUTE'
FROM functions f WHERE f.oid IS NOT NULL AND NOT has_function_privilege($1, f.oid, 'EXECUTE')
UNION ALL
SELECT DISTINCT r.who::text, to_regclass(s.source)::text, '', 'source', 'SELECT'
FROM runs r JOIN cachekit.view v ON v.kind = r.kind AND r.kind = 'rollup' JOIN cachekit.view_source s ON s.view = v.name
WHERE to_regclass(s.source) IS NOT NULL AND NOT has_table_privilege(r.who, to_regclass(s.source), 'SELECT')
UNION ALL
SELECT r.who::text, c.oid::regclass::text, pg_get_userbyid(c.relowner)::text, 'refresh', 'MAINTAIN'
FROM runs r JOIN cachekit.view v ON v.kind = r.kind AND r.kind = 'materialized'
JOIN pg_class c ON c.oid = to_regclass(format('%I.%I', v.schema, v.name)) AND c.relkind = 'm'
WHERE NOT pg_has_role(r.who, c.relowner, 'USAGE')${maintain ? ` AND NOT has_table_privilege(r.who, c.oid, 'MAINTAIN')` : ''}
UNION
SELECT pg_get_userbyid(c.relowner)::text, u.oid::regclass::text, '', 'owner', 'SELECT'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_rewrite r ON r.ev_class = c.oid
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid
JOIN pg_class u ON u.oid = d.refobjid AND u.relkind IN ('r', 'p', 'v', 'm', 'f')
WHERE c.relkind = 'm' AND ${schemaOfUsers} AND NOT has_any_column_privilege(c.relowner, u.oid, 'SELECT')
ORDER BY 4, 2, 1`;
