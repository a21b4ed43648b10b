import { quoteIdentifier } from '@cachekit/core/postgres';
import { grantStatements } from '../migrate/grants.ts';
import { jsonRows } from '../sql/json-rows.ts';
import { refreshFunctions } from '../sql/refresh-function.ts';
import { type Examination, schemaOfUsers } from './examination.ts';
import { type Finding, finding } from './finding.ts';

interface MissingRight {
  /** Who lacks it. */
  readonly who: string;
  readonly object: string;
  readonly owner: string;
  readonly why: 'source' | 'refresh' | 'owner';
}

/** What the role that refreshes, and those as whom the functions and views run, need and do not have. */
export async function missingRights(examination: Examination): Promise<Finding[]> {
  const { sql, records } = examination;
  if (!records.installed) return [];
  const { rows } = await sql.query<{ version: string }>(
    `SELECT current_setting('server_version_num') AS version`,
  );
  const maintain = Number(rows[0]?.version) >= 170_000;
  const missing = await jsonRows<MissingRight>(sql, missingSql(maintain));
  return [
    ...(await rightsOfRefresher(examination)),
    ...missing.map((right) => {
      const { who, object, owner, why } = right;
      const to = quoteIdentifier(who);
      const mend =
        why !== 'refresh'
          ? `GRANT SELECT ON ${object} TO ${to}`
          : maintain
            ? `GRANT MAINTAIN ON ${object} TO ${to}`
            : `GRANT ${quoteIdentifier(owner)} TO ${to}`;
      return finding('right-missing', `${who}: ${object}`, reasons[why](right), [mend]);
    }),
  ];
}

async function rightsOfRefresher({ sql, schema, views, records, role }: Examination): Promise<Finding[]> {
  // Whoever gives definitions asks for a refresher of those.
  const kept = views.length === 0 ? records.views : views;
  const missing = await jsonRows<{ what: string }>(sql, refresherSql, [
    role,
    JSON.stringify(refreshFunctions),
    kept.map(({ name }) => name),
  ]);
  if (missing.length === 0) return [];
  const lacks = missing.map(({ what }) => what).join('; ');
  return [
    finding(
      'right-missing',
      role,
      `${role}, which refreshes, lacks ${lacks} (42501).`,
      grantStatements(schema, kept, { refresher: role }),
    ),
  ];
}

const reasons: Readonly<Record<MissingRight['why'], (right: MissingRight) => string>> = {
  source: ({ who }) =>
    `Refreshes of a rollup run as ${who}, which applied it, and ${who} may not read the table (42501).`,
  refresh: ({ who, owner }) =>
    `Refreshes run as ${who}, which applied the views, and only ${owner}, the owner of this one, may refresh it (42501 "must be owner").`,
  owner: ({ who }) =>
    `A view of ${who} reads it, a refresh runs with the rights of the owner of the view, and ${who} may not read it (42501).`,
};

const refresherSql = `
WITH tables (oid, privilege) AS (
  SELECT to_regclass('cachekit.' || t.name), unnest(t.privileges)
  FROM (VALUES ('view', '{SELECT,UPDATE}'::text[]), ('view_edge', '{SELECT}'), ('view_source', '{SELECT}'), ('installed', '{SELECT}'),
    ('mark', '{SELECT,INSERT}'), ('wake', '{SELECT,INSERT,UPDATE}')) t (name, privileges)
  UNION ALL
  SELECT to_regclass(v.rollup#>>'{program,log}'), unnest('{SELECT,INSERT}'::text[]) FROM cachekit.view v WHERE v.kind = 'rollup' AND v.name = ANY ($3::text[])
)
SELECT 'USAGE of schema cachekit' AS what WHERE NOT has_schema_privilege($1, 'cachekit', 'USAGE')
UNION ALL
SELECT string_agg(t.privilege, ', ') || ' on ' || t.oid::regclass::text FROM tables t
WHERE t.oid IS NOT NULL AND NOT has_any_column_privilege($1, t.oid, t.privilege) GROUP BY t.oid
UNION ALL
SELECT 'EXECUTE of ' || to_regprocedure(f)::text FROM jsonb_array_elements_text($2::jsonb) f
WHERE to_regprocedure(f) IS NOT NULL AND NOT has_function_privilege($1, to_regprocedure(f), 'EXECUTE')
ORDER BY 1`;

const missingSql = (maintain: boolean): string => `
WITH runs (kind, who) AS (
  SELECT 'rollup', pg_get_userbyid(p.proowner) FROM pg_proc p WHERE p.oid = to_regprocedure('cachekit.refresh_rollup(text, boolean, numeric)')
  UNION ALL
  SELECT 'materialized', pg_get_userbyid(p.proowner) FROM pg_proc p WHERE p.oid = to_regprocedure('cachekit.refresh_materialized(text, boolean, numeric)')
)
SELECT r.who::text, to_regclass(s.source)::text AS object, '' AS owner, 'source' AS why
FROM runs r JOIN cachekit.view v ON v.kind = r.kind AND r.kind = 'rollup' JOIN cachekit.view_source s ON s.view = v.name
WHERE to_regclass(s.source) IS NOT NULL AND NOT has_table_privilege(r.who, to_regclass(s.source), 'SELECT')
UNION
SELECT r.who::text, c.oid::regclass::text, pg_get_userbyid(c.relowner)::text, 'refresh'
FROM runs r JOIN cachekit.view v ON v.kind = r.kind AND r.kind = 'materialized'
JOIN pg_class c ON c.oid = to_regclass(format('%I.%I', v.schema, v.name)) AND c.relkind = 'm'
WHERE NOT pg_has_role(r.who, c.relowner, 'USAGE')${maintain ? ` AND NOT has_table_privilege(r.who, c.oid, 'MAINTAIN')` : ''}
UNION
SELECT pg_get_userbyid(c.relowner)::text, u.oid::regclass::text, '', 'owner'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_rewrite r ON r.ev_class = c.oid
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid
JOIN pg_class u ON u.oid = d.refobjid AND u.relkind IN ('r', 'p', 'v', 'm', 'f')
WHERE c.relkind = 'm' AND ${schemaOfUsers} AND NOT has_any_column_privilege(c.relowner, u.oid, 'SELECT')
ORDER BY 4, 2, 1`;
