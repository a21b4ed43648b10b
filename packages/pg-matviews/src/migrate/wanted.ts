import type { SqlExecutor } from '@cachekit/core';
import { quoteIdentifier } from '@cachekit/core/postgres';
import { jsonRows } from '../sql/json-rows.ts';
import { unqualify } from '../sql/unqualify.ts';
import { isStored, type ViewDefinition } from '../view.ts';
import { searchPath, withSearchPath } from './session.ts';

/** A table, view or materialized view that a query reads. */
interface UsedRelation {
  /** `pg_class.oid` as text. */
  readonly oid: string;
  /** Schema and name, both quoted where they must be; of a temporary view the bare name. */
  readonly name: string;
  /** `pg_class.relkind`. */
  readonly kind: string;
  /** Columns the query names. */
  readonly columns: readonly string[];
}

/** What PostgreSQL makes of a definition. */
export interface WantedView {
  readonly name: string;
  /** Deparsed by the server. */
  readonly definition: string;
  readonly columns: readonly string[];
  /** Those of them whose type has no `=`, or one that means something else. */
  readonly texts: readonly string[];
  /** Views of the catalog that it reads, also through views that are not of the catalog. */
  readonly uses: readonly string[];
  /** Views that are not of the catalog and lie between, as oids. */
  readonly through: readonly string[];
  /** Tables that it reads through plain views; what lies behind a materialized view of the catalog is not among them. */
  readonly tables: readonly UsedRelation[];
}

interface DirectUse {
  readonly view: string;
  readonly oid: string;
  readonly name: string;
  readonly kind: string;
  readonly columns: readonly string[];
}

/**
 * Creates every view of the catalog as a temporary one, asks the server what it understood, and takes them away.
 *
 * Temporary views come first in the search path and have the real names, so each query reads the wanted views below
 * it and not those that are there now.
 *
 * @param views - In an order in which each comes after all it uses.
 * @param existing - Oids of the catalog's views that are there now, to their names.
 */
export async function readWanted(
  sql: SqlExecutor,
  schema: string,
  views: readonly ViewDefinition[],
  existing: ReadonlyMap<string, string>,
): Promise<Map<string, WantedView>> {
  if (views.length === 0) return new Map();
  await sql.query('SAVEPOINT cachekit_wanted');
  const names = new Set(views.map((view) => view.name));
  const wanted = await withSearchPath(
    sql,
    `pg_temp, ${searchPath(schema).replace(/, pg_temp$/, '')}`,
    async () => {
      for (const view of views) {
        await sql
          .query(
            `CREATE TEMPORARY VIEW ${quoteIdentifier(view.name)} AS ${unqualify(view.query, schema, names)}`,
          )
          .catch((error: unknown) => {
            // The server names a column or a table at best; of many views nobody would know whose it is.
            if (error instanceof Error) error.message = `View "${view.name}": ${error.message}`;
            throw error;
          });
      }
      const shapes = await jsonRows<{
        oid: string;
        name: string;
        definition: string;
        columns: readonly string[];
        texts: readonly string[];
      }>(sql, shapesSql, [[...names]]);
      const uses = await jsonRows<DirectUse>(sql, usesSql, [shapes.map((shape) => shape.oid)]);
      const declared = new Map([...existing, ...shapes.map((shape) => [shape.oid, shape.name] as const)]);
      const kinds = new Map(views.map((view) => [view.name, view.kind]));
      return new Map(
        shapes.map(({ oid, name, definition, columns, texts }) => {
          const around = surroundings(oid, uses, declared);
          const tables = tablesBelow(oid, uses, (used) => isStored(kinds.get(declared.get(used) ?? '')));
          return [name, { name, definition, columns, texts, ...around, tables }];
        }),
      );
    },
  );
  await sql.query('ROLLBACK TO SAVEPOINT cachekit_wanted');
  await sql.query('RELEASE SAVEPOINT cachekit_wanted');
  return wanted;
}

function surroundings(
  view: string,
  uses: readonly DirectUse[],
  declared: ReadonlyMap<string, string>,
): Pick<WantedView, 'uses' | 'through'> {
  const names = new Set<string>();
  const through = new Set<string>();
  const visit = (oid: string): void => {
    for (const use of uses) {
      if (use.view !== oid) continue;
      const name = declared.get(use.oid);
      if (name !== undefined) names.add(name);
      else if ((use.kind === 'v' || use.kind === 'm') && !through.has(use.oid)) {
        through.add(use.oid);
        visit(use.oid);
      }
    }
  };
  visit(view);
  return { uses: [...names], through: [...through] };
}

function tablesBelow(
  view: string,
  uses: readonly DirectUse[],
  isBoundary: (oid: string) => boolean,
): UsedRelation[] {
  const tables = new Map<string, UsedRelation>();
  const seen = new Set<string>();
  const visit = (oid: string): void => {
    seen.add(oid);
    for (const use of uses) {
      if (use.view !== oid || isBoundary(use.oid)) continue;
      if (use.kind === 'v') {
        if (!seen.has(use.oid)) visit(use.oid);
        continue;
      }
      const before = tables.get(use.oid)?.columns ?? [];
      const columns = [...new Set([...before, ...use.columns])].sort();
      tables.set(use.oid, { oid: use.oid, name: use.name, kind: use.kind, columns });
    }
  };
  visit(view);
  return [...tables.values()];
}

const shapesSql = `
SELECT c.oid::text AS oid, c.relname AS name, pg_get_viewdef(c.oid) AS definition,
  (SELECT jsonb_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
  (SELECT coalesce(jsonb_agg(a.attname), '[]'::jsonb) FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     AND ltrim(t.typname, '_') IN ('json', 'xml', 'point', 'line', 'lseg', 'box', 'path', 'polygon', 'circle')) AS texts
FROM pg_class c
WHERE c.relnamespace = pg_my_temp_schema() AND c.relkind = 'v' AND c.relname = ANY ($1::text[])`;

/**
 * What each view reached from the given ones reads directly. A rule that uses a whole row (`:varattno 0` in its
 * tree) leaves no trace of columns in pg_depend, so it counts as reading all columns.
 */
const usesSql = `
WITH RECURSIVE reached (oid) AS (
  SELECT unnest($1::oid[])
  UNION
  SELECT d.refobjid
  FROM reached
  JOIN pg_rewrite r ON r.ev_class = reached.oid
  JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'n' AND d.refobjid <> r.ev_class
  JOIN pg_class c ON c.oid = d.refobjid AND c.relkind IN ('v', 'm')
)
SELECT r.ev_class::text AS view, c.oid::text AS oid, c.relkind::text AS kind,
  format('%I.%I', n.nspname, c.relname) AS name,
  coalesce((
    SELECT jsonb_agg(a.attname ORDER BY a.attname) FROM pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      AND (r.ev_action::text LIKE '%:varattno 0 %' OR a.attnum = ANY (array_agg(d.refobjsubid)))
  ), '[]'::jsonb) AS columns
FROM reached
JOIN pg_rewrite r ON r.ev_class = reached.oid
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
  AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'n' AND d.refobjid <> r.ev_class
JOIN pg_class c ON c.oid = d.refobjid AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
JOIN pg_namespace n ON n.oid = c.relnamespace
GROUP BY r.ev_class, r.oid, r.ev_action::text, c.oid, c.relkind, n.nspname, c.relname
ORDER BY 1, 2`;
