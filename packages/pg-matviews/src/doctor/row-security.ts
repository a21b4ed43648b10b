import { quoteIdentifier } from '@cachekit/core/postgres';
import { jsonRows } from '../sql/json-rows.ts';
import { type Examination, schemaOfUsers } from './examination.ts';
import { type Finding, finding } from './finding.ts';

/** Every view of users, and the tables with row-level security below it; those of a rollup are its sources. */
const guardedSql = (installed: boolean): string => `
WITH RECURSIVE below (view, oid) AS (
  SELECT c.oid, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm') AND ${schemaOfUsers}
  UNION
  SELECT b.view, d.refobjid FROM below b JOIN pg_rewrite r ON r.ev_class = b.oid
  JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> b.oid
  JOIN pg_class c ON c.oid = b.oid AND (c.relkind = 'm' OR NOT coalesce(c.reloptions @> '{security_invoker=true}', false))
), guarded AS (
  SELECT DISTINCT b.view, t.oid, t.relowner AS "owner", t.relforcerowsecurity AS forced
  FROM below b JOIN pg_class t ON t.oid = b.oid AND t.relkind IN ('r', 'p') AND t.relrowsecurity${
    installed
      ? `
  UNION
  SELECT c.oid, t.oid, t.relowner, t.relforcerowsecurity
  FROM cachekit.view v JOIN cachekit.view_source s ON s.view = v.name JOIN pg_class t ON t.oid = to_regclass(s.source) AND t.relrowsecurity
  JOIN pg_class c ON c.oid IN (to_regclass(format('%I.%I', v.schema, v.name)), to_regclass(format('%I.%I', v.schema, v.name || '_live')))
  WHERE v.kind = 'rollup'`
      : ''
  })`;

interface OpenView {
  readonly view: string;
  readonly kind: 'm' | 'v';
  readonly rollup: boolean;
  readonly grantee: string | null;
  readonly tables: string | null;
}

/** Views that show people rows which row-level security would hide from them. */
export async function openViews({ sql, records }: Examination): Promise<Finding[]> {
  const { installed } = records;
  const open = await jsonRows<OpenView>(
    sql,
    `${guardedSql(installed)}, tenants AS (
       ${installed ? `SELECT to_regclass(format('%I.%I', schema, name)) AS oid, kind FROM cachekit.view WHERE tenant IS NOT NULL` : `SELECT NULL::oid AS oid, '' AS kind`}
     )
     SELECT c.oid::regclass::text AS view, c.relkind::text AS kind, pg_get_viewdef(c.oid) LIKE '%cachekit.%' AS rollup, g.grantee, b.tables
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL (
       SELECT DISTINCT r.rolname::text AS grantee FROM aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
       WHERE a.privilege_type = 'SELECT' AND a.grantee <> c.relowner AND NOT coalesce(r.rolsuper OR r.rolbypassrls, false)) g
     CROSS JOIN LATERAL (
       SELECT string_agg(DISTINCT gt.oid::regclass::text, ', ') AS tables FROM guarded gt
       WHERE gt.view = c.oid AND NOT coalesce(pg_has_role(g.grantee::name, gt.owner, 'USAGE') AND NOT gt.forced, false)) b
     WHERE c.relkind IN ('v', 'm') AND ${schemaOfUsers}
       AND pg_get_viewdef(c.oid) NOT LIKE '%row_security_active(%'
       AND (b.tables IS NOT NULL AND EXISTS (
           SELECT FROM guarded gt JOIN pg_roles o ON o.oid = c.relowner
           WHERE gt.view = c.oid AND (c.relkind = 'm' OR o.rolsuper OR o.rolbypassrls OR pg_has_role(c.relowner, gt.owner, 'USAGE') AND NOT gt.forced))
         OR c.relkind = 'm' AND EXISTS (SELECT FROM tenants t WHERE t.oid = c.oid) AND (g.grantee IS NULL OR g.grantee IN ('anon', 'authenticated')))
     ORDER BY 1, 4`,
  );
  return open.map(({ view, kind, rollup, grantee, tables }) => {
    const who = grantee ?? 'PUBLIC';
    const to = grantee === null ? 'PUBLIC' : quoteIdentifier(grantee);
    const why =
      tables === null
        ? `It holds the rows of every tenant, and a materialized view has no row-level security`
        : kind === 'm'
          ? `${tables} has row-level security, a materialized view has none`
          : rollup
            ? `${tables} has row-level security, and the rollup over it says no tenant setting`
            : `${tables} has row-level security, and the view reads it with the rights of its owner`;
    return finding(
      'row-security-bypassed',
      `${view} for ${who}`,
      `${why}: ${who} sees the rows of all.`,
      kind === 'v' && !rollup
        ? [`ALTER VIEW ${view} SET (security_invoker = true)`]
        : [`REVOKE SELECT ON ${view} FROM ${to}`],
    );
  });
}

interface PartialView {
  readonly view: string;
  readonly refresher: string;
  readonly table: string;
  readonly owner: string;
  readonly forced: boolean;
}

/** Materialized views whose refresh sees a part of the rows, because row-level security applies to their owner. */
export async function partialRefreshes({ sql }: Examination): Promise<Finding[]> {
  const views = await jsonRows<PartialView>(
    sql,
    `${guardedSql(false)}
     SELECT c.oid::regclass::text AS view, o.rolname AS refresher, g.oid::regclass::text AS table,
       pg_get_userbyid(g.owner)::text AS owner, g.forced
     FROM guarded g JOIN pg_class c ON c.oid = g.view AND c.relkind = 'm' JOIN pg_roles o ON o.oid = c.relowner
     WHERE NOT o.rolsuper AND NOT o.rolbypassrls AND (g.forced OR NOT pg_has_role(o.oid, g.owner, 'USAGE')) ORDER BY 1`,
  );
  return views.map(({ view, refresher, table, owner, forced }) =>
    finding(
      'row-security-partial',
      view,
      `A refresh runs as ${refresher}, the owner of the view, to whom the policies of ${table} apply: REFRESH by hand stores a part of the rows without a word, and a refresher fails (42501).`,
      forced
        ? [`ALTER ROLE ${quoteIdentifier(refresher)} BYPASSRLS`]
        : [`ALTER MATERIALIZED VIEW ${view} OWNER TO ${quoteIdentifier(owner)}`],
    ),
  );
}
