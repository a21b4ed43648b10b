import type { SqlExecutor } from '@cachekit/core';
import { type ExistingView, readDependants } from '../migrate/existing.ts';
import { optionsSql, recreateSql, restoreSql } from '../migrate/restore.ts';
import { inOrder } from '../order.ts';
import { relationSql } from '../sql/relation.ts';
import { together } from './finding.ts';

/**
 * SQL that gives a view another query. A plain view is replaced in place; a materialized one is dropped and created with
 * whatever depends on it, and indexes, rights, comments and owners come back.
 */
export async function replaceViewSql(sql: SqlExecutor, view: ExistingView, query: string): Promise<string> {
  const name = relationSql(view.schema, view.name);
  if (view.kind === 'v') return `CREATE OR REPLACE VIEW ${name}${optionsSql(view)} AS\n${query}`;
  const dependants = await readDependants(sql, [view.oid]);
  const byOid = new Map(dependants.map((one) => [one.oid, one]));
  const upwards = inOrder(dependants, (one) => one.uses.flatMap((oid) => byOid.get(oid) ?? []));
  const dropSql = (one: ExistingView): string =>
    `DROP ${one.kind === 'm' ? 'MATERIALIZED VIEW' : 'VIEW'} ${relationSql(one.schema, one.name)}`;
  return together([
    ...[...upwards].reverse().map(dropSql),
    dropSql(view),
    ...[{ ...view, definition: query }, ...upwards].flatMap((one) => [
      ...recreateSql(one),
      ...restoreSql(one, undefined),
    ]),
  ]);
}
