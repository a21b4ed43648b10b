import { quoteIdentifier } from '@cachekit/core/postgres';
import { fittingIdentifier } from '../identifier.ts';
import { jsonRows } from '../sql/json-rows.ts';
import { type Examination, schemaOfUsers } from './examination.ts';
import { type Finding, finding } from './finding.ts';
import { keyOfRows } from './key-of-rows.ts';

interface UnindexedView {
  readonly schema: string;
  readonly name: string;
  readonly relation: string;
  readonly populated: boolean;
  readonly definition: string;
  readonly columns: readonly string[];
  /** Columns of its indexes, unique or not. */
  readonly indexed: readonly (readonly string[])[];
  /** Unique indexes that do not serve, and why. */
  readonly unfit: readonly { readonly name: string; readonly why: string }[];
}

/** Materialized views that REFRESH ... CONCURRENTLY refuses: no unique index, or none over plain columns and all rows. */
export async function viewsWithoutUniqueIndex({ sql, views }: Examination): Promise<Finding[]> {
  const plain = new Set(views.filter(({ refresh }) => refresh === 'plain').map(({ name }) => name));
  const findings: Finding[] = [];
  for (const view of await jsonRows<UnindexedView>(sql, unindexedSql)) {
    if (plain.has(view.name)) continue;
    const [unfit] = view.unfit;
    const why =
      unfit === undefined
        ? 'It has no unique index'
        : `Its unique index ${quoteIdentifier(unfit.name)} ${unfit.why}`;
    const key = await keyOfRows(sql, view);
    const name = quoteIdentifier(fittingIdentifier([view.name, ...(key ?? []), 'key'].join('_')));
    findings.push(
      finding(
        unfit === undefined ? 'unique-index-missing' : 'unique-index-unfit',
        view.relation,
        `${why}, so REFRESH ... CONCURRENTLY fails (55000) and readers wait for every refresh.${key === undefined ? ' No column or pair of columns tells its rows apart: give the view a key first.' : ''}`,
        key === undefined
          ? []
          : [`CREATE UNIQUE INDEX ${name} ON ${view.relation} (${key.map(quoteIdentifier).join(', ')})`],
      ),
    );
  }
  return findings;
}

const unindexedSql = `
SELECT n.nspname AS schema, c.relname AS name, format('%I.%I', n.nspname, c.relname) AS relation,
  c.relispopulated AS populated, pg_get_viewdef(c.oid) AS definition,
  (SELECT jsonb_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
  (SELECT coalesce(jsonb_agg((SELECT jsonb_agg(a.attname ORDER BY k.at) FROM unnest(x.indkey) WITH ORDINALITY k (attnum, at)
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum)), '[]'::jsonb)
   FROM pg_index x WHERE x.indrelid = c.oid AND x.indexprs IS NULL) AS indexed,
  (SELECT coalesce(jsonb_agg(jsonb_build_object('name', i.relname, 'why',
      CASE WHEN x.indpred IS NOT NULL THEN 'has a WHERE' WHEN x.indexprs IS NOT NULL THEN 'is over an expression'
           ELSE 'is deferrable' END) ORDER BY i.relname), '[]'::jsonb)
   FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = c.oid AND x.indisunique) AS unfit
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'm' AND ${schemaOfUsers}
  -- One that is invalid has a check of its own.
  AND NOT EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisunique AND x.indimmediate
    AND x.indpred IS NULL AND x.indexprs IS NULL)
ORDER BY 3`;
