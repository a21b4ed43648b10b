import type { SqlExecutor } from '@cachekit/core';
import { jsonRows } from '../sql/json-rows.ts';

/** A right on a relation, or on one of its columns. */
interface SavedGrant {
  readonly column: string | null;
  /** `null` is PUBLIC. */
  readonly grantee: string | null;
  readonly privilege: string;
  readonly grantable: boolean;
}

/** An index of a materialized view, as it is in the database. */
interface SavedIndex {
  readonly name: string;
  readonly definition: string;
  readonly columns: readonly string[];
  readonly comment: string | null;
  /** REFRESH ... CONCURRENTLY can use it. */
  readonly serves: boolean;
}

/** A view as it is in the database, with all that must come back if it is created anew. */
export interface ExistingView {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  /** `pg_class.relkind`: `v` or `m`, or whatever else has the name. */
  readonly kind: string;
  /** Deparsed under the search path of the session. */
  readonly definition: string;
  /** A digest of its query as the server keeps it: another one means that it was replaced, the same one survives renaming. */
  readonly tree: string | null;
  readonly owner: string;
  /** The one who would own it if the present role created it. */
  readonly ownerIsCurrent: boolean;
  readonly populated: boolean;
  readonly options: readonly string[];
  readonly comment: string | null;
  readonly columnComments: Readonly<Record<string, string>>;
  readonly grants: readonly SavedGrant[];
  readonly indexes: readonly SavedIndex[];
  /** Oids of the views and materialized views that it reads directly. */
  readonly uses: readonly string[];
}

/** The relations called `names` in `schema`. */
export async function readExisting(
  sql: SqlExecutor,
  schema: string,
  names: readonly string[],
): Promise<ExistingView[]> {
  return jsonRows<ExistingView>(
    sql,
    `${describeSql} WHERE n.nspname = $1 AND c.relname = ANY ($2::text[]) AND c.relkind NOT IN ('i', 'I', 'c', 't')`,
    [schema, names],
  );
}

/** Every view and materialized view of users, those of extensions apart. */
export async function readAllViews(sql: SqlExecutor): Promise<ExistingView[]> {
  return jsonRows<ExistingView>(
    sql,
    `${describeSql} WHERE c.relkind IN ('v', 'm') AND n.nspname NOT IN ('information_schema', 'cachekit') AND n.nspname NOT LIKE 'pg\\_%'
       AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
     ORDER BY 2, 3`,
  );
}

/** Every view and materialized view that reads one of `oids`, directly or through others, without those themselves. */
export async function readDependants(sql: SqlExecutor, oids: readonly string[]): Promise<ExistingView[]> {
  return jsonRows<ExistingView>(
    sql,
    `WITH RECURSIVE above (oid) AS (
       SELECT unnest($1::oid[])
       UNION
       SELECT r.ev_class
       FROM above
       JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = above.oid
         AND d.classid = 'pg_rewrite'::regclass AND d.deptype = 'n'
       JOIN pg_rewrite r ON r.oid = d.objid AND r.ev_class <> above.oid
       JOIN pg_class c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm')
     )
     ${describeSql} WHERE c.oid IN (SELECT oid FROM above) AND c.oid <> ALL ($1::oid[])`,
    [oids],
  );
}

/** Rights of the owner are left out: whoever creates a view has them. */
const describeSql = `
SELECT c.oid::text AS oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
  CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) ELSE '' END AS definition,
  (SELECT md5(r.ev_action::text) FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename = '_RETURN') AS tree,
  pg_get_userbyid(c.relowner) AS owner, c.relowner = current_user::regrole AS "ownerIsCurrent",
  c.relispopulated AS populated,
  coalesce(to_jsonb(c.reloptions), '[]'::jsonb) AS options,
  obj_description(c.oid, 'pg_class') AS comment,
  (SELECT coalesce(jsonb_object_agg(a.attname, d.description), '{}'::jsonb)
   FROM pg_description d JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid
   WHERE d.classoid = 'pg_class'::regclass AND d.objoid = c.oid AND d.objsubid > 0) AS "columnComments",
  (SELECT coalesce(jsonb_agg(g), '[]'::jsonb) FROM (
     SELECT NULL AS column, r.rolname AS grantee, e.privilege_type AS privilege, e.is_grantable AS grantable
     FROM aclexplode(c.relacl) e LEFT JOIN pg_roles r ON r.oid = e.grantee
     WHERE e.grantee <> c.relowner
     UNION ALL
     SELECT a.attname, r.rolname, e.privilege_type, e.is_grantable
     FROM pg_attribute a CROSS JOIN LATERAL aclexplode(a.attacl) e LEFT JOIN pg_roles r ON r.oid = e.grantee
     WHERE a.attrelid = c.oid AND NOT a.attisdropped AND e.grantee <> c.relowner
   ) g) AS grants,
  (SELECT coalesce(jsonb_agg(jsonb_build_object(
       'name', i.relname,
       'definition', pg_get_indexdef(i.oid),
       'columns', (SELECT jsonb_agg(a.attname) FROM pg_attribute a WHERE a.attrelid = i.oid),
       'comment', obj_description(i.oid, 'pg_class'),
       'serves', x.indisunique AND x.indisvalid AND x.indpred IS NULL AND x.indexprs IS NULL AND x.indimmediate
     ) ORDER BY i.relname), '[]'::jsonb)
   FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = c.oid) AS indexes,
  (SELECT coalesce(jsonb_agg(DISTINCT d.refobjid::text), '[]'::jsonb)
   FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
     AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'n' AND d.refobjid <> c.oid
   JOIN pg_class u ON u.oid = d.refobjid AND u.relkind IN ('v', 'm')
   WHERE r.ev_class = c.oid) AS uses
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace`;
