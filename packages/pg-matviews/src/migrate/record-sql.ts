import { quoteIdentifier, quoteLiteral } from '@cachekit/core/postgres';
import { partsSql } from '../sql/notice-parts.ts';
import { relationSql } from '../sql/relation.ts';
import type { ViewDefinition } from '../view.ts';
import { createIndexSql } from '../view-index.ts';
import type { EdgeRecord, SourceRecord } from './records.ts';

/**
 * Statement that writes down what was just applied for a view.
 *
 * @param filled - The view was created with its rows in this transaction, so it is as fresh as the transaction.
 */
export function recordViewSql(schema: string, view: ViewDefinition, filled: boolean): string {
  const relation = quoteLiteral(relationSql(schema, view.name));
  const indexes = view.indexes.map((index) => {
    const actual = `pg_get_indexdef(${quoteLiteral(`${quoteIdentifier(schema)}.${quoteIdentifier(index.name)}`)}::regclass)`;
    return `${quoteLiteral(index.name)}, jsonb_build_object('wanted', ${quoteLiteral(createIndexSql(schema, view.name, index))}, 'actual', ${actual})`;
  });
  const fresh = filled ? 'transaction_timestamp()' : 'NULL';
  return `INSERT INTO cachekit.view AS v (name, schema, kind, tenant, refresh, definition, server_version, tree, indexes, fresh_as_of)
VALUES (${quoteLiteral(view.name)}, ${quoteLiteral(schema)}, ${quoteLiteral(view.kind)}, ${nullable(view.tenant)}, ${quoteLiteral(view.refresh)},
  pg_get_viewdef(${relation}::regclass), current_setting('server_version_num')::integer, ${treeSql([relation])},
  jsonb_build_object(${indexes.join(', ')}), ${fresh})
ON CONFLICT (name) DO UPDATE SET schema = excluded.schema, kind = excluded.kind, tenant = excluded.tenant,
  refresh = excluded.refresh, definition = excluded.definition, server_version = excluded.server_version, tree = excluded.tree,
  indexes = excluded.indexes, fresh_as_of = coalesce(excluded.fresh_as_of, v.fresh_as_of), failures = 0,
  last_error = NULL, failed_at = NULL, paused = nullif(v.paused, 'failures')`;
}

/** SQL for the digests of the queries of these views, each given as SQL text of its name. */
export function treeSql(relations: readonly string[]): string {
  const digests = relations.map(
    (relation) =>
      `(SELECT md5(r.ev_action::text) FROM pg_rewrite r WHERE r.ev_class = ${relation}::regclass AND r.rulename = '_RETURN')`,
  );
  return digests.join(' || ');
}

/** Statements that make `wanted` the sources of a view. */
export function recordSourcesSql(view: string, wanted: readonly SourceRecord[]): string[] {
  return [
    `DELETE FROM cachekit.view_source WHERE view = ${quoteLiteral(view)}`,
    ...wanted.map(
      ({
        source,
        tenant,
        key,
        columns,
      }) => `INSERT INTO cachekit.view_source (view, source, tenant, key, columns, parts)
VALUES (${quoteLiteral(view)}, ${quoteLiteral(source)}, ${nullable(tenant)}, ${quoteLiteral(JSON.stringify(key))}, ARRAY[${columns.map(quoteLiteral).join(', ')}]::text[], ${partsSql(`${quoteLiteral(source)}::regclass`)})`,
    ),
  ];
}

/** Statement that remembers which parts a source has, for views that are marked by it as a whole. */
export function rememberPartsSql(source: string): string {
  return `UPDATE cachekit.view_source SET parts = ${partsSql(`${quoteLiteral(source)}::regclass`)} WHERE source = ${quoteLiteral(source)}`;
}

/** Statements that make `wanted` what the views of this catalog are computed from. */
export function recordEdgesSql(children: readonly string[], wanted: readonly EdgeRecord[]): string[] {
  return [
    `DELETE FROM cachekit.view_edge WHERE child IN (${children.map(quoteLiteral).join(', ')})`,
    ...wanted.map(
      ({ parent, child }) =>
        `INSERT INTO cachekit.view_edge (parent, child) VALUES (${quoteLiteral(parent)}, ${quoteLiteral(child)})`,
    ),
  ];
}

/** Statements that forget a view. */
export function forgetViewSql(view: string): string[] {
  return [
    `DELETE FROM cachekit.mark WHERE view = ${quoteLiteral(view)}`,
    `DELETE FROM cachekit.view WHERE name = ${quoteLiteral(view)}`,
  ];
}

function nullable(text: string | null | undefined): string {
  return text === null || text === undefined ? 'NULL' : quoteLiteral(text);
}
