import type { SqlExecutor } from '@cachekit/core';
import { inOrder } from '../order.ts';
import { jsonRows } from '../sql/json-rows.ts';

/** Materialized views that `view` is computed from and that are marked, each after those it is computed from. */
export async function dirtyAncestors(sql: SqlExecutor, view: string): Promise<string[]> {
  const edges = await jsonRows<{ parent: string; child: string; dirty: boolean }>(
    sql,
    `WITH RECURSIVE above (name) AS (
       SELECT $1::text UNION SELECT e.parent FROM above JOIN cachekit.view_edge e ON e.child = above.name)
     SELECT e.parent, e.child, EXISTS (SELECT FROM cachekit.mark m WHERE m.view = e.parent) AS dirty
     FROM cachekit.view_edge e WHERE e.child IN (SELECT name FROM above)`,
    [view],
  );
  const parents = [...new Set(edges.map(({ parent }) => parent))];
  const ordered = inOrder(parents, (name) =>
    edges.filter((e) => e.child === name).map(({ parent }) => parent),
  );
  const dirty = new Set(edges.filter((edge) => edge.dirty).map(({ parent }) => parent));
  // A clean view above a dirty one is marked by the refresh of that one.
  const affected = new Set<string>();
  for (const name of ordered) {
    if (dirty.has(name) || edges.some((e) => e.child === name && affected.has(e.parent))) affected.add(name);
  }
  return ordered.filter((name) => affected.has(name));
}

/** `views` in the order in which refreshes do the least work: each after those it is computed from. */
export async function refreshOrder(sql: SqlExecutor, views: readonly string[]): Promise<string[]> {
  const edges = await jsonRows<{ parent: string; child: string }>(
    sql,
    'SELECT parent, child FROM cachekit.view_edge WHERE child = ANY ($1::text[])',
    [views],
  );
  return inOrder([...views], (name) => edges.filter((e) => e.child === name).map(({ parent }) => parent));
}
