import { quoteIdentifier, quoteLiteral } from '@cachekit/core/postgres';
import { relationSql } from '../sql/relation.ts';
import type { ExistingView } from './existing.ts';

/** Statements that create a view of somebody else again as it was. */
export function recreateSql(view: ExistingView): string[] {
  const name = relationSql(view.schema, view.name);
  const definition = view.definition.replace(/;\s*$/, '');
  if (view.kind === 'v') return [`CREATE VIEW ${name}${optionsSql(view)} AS ${definition}`];
  return [
    `CREATE MATERIALIZED VIEW ${name}${optionsSql(view)} AS ${definition}${view.populated ? '' : ' WITH NO DATA'}`,
    ...view.indexes.map((index) => index.definition),
  ];
}

/** ` WITH (...)`, or nothing. */
export function optionsSql(view: ExistingView | undefined): string {
  return view === undefined || view.options.length === 0 ? '' : ` WITH (${view.options.join(', ')})`;
}

/**
 * Statements that give a view created anew the comments, rights and owner it had.
 *
 * @param columns - Columns it has now: what was said of others is lost with them.
 */
export function restoreSql(view: ExistingView, columns: readonly string[] | undefined): string[] {
  const name = relationSql(view.schema, view.name);
  const stays = (column: string): boolean => columns === undefined || columns.includes(column);
  const kind = view.kind === 'm' ? 'MATERIALIZED VIEW' : 'VIEW';
  const statements: string[] = [];
  if (view.comment !== null) statements.push(`COMMENT ON ${kind} ${name} IS ${quoteLiteral(view.comment)}`);
  for (const [column, comment] of Object.entries(view.columnComments)) {
    if (!stays(column)) continue;
    statements.push(`COMMENT ON COLUMN ${name}.${quoteIdentifier(column)} IS ${quoteLiteral(comment)}`);
  }
  for (const index of view.indexes) {
    if (index.comment === null || !index.columns.every(stays)) continue;
    statements.push(
      `COMMENT ON INDEX ${relationSql(view.schema, index.name)} IS ${quoteLiteral(index.comment)}`,
    );
  }
  for (const { column, grantee, privilege, grantable } of view.grants) {
    if (column !== null && !stays(column)) continue;
    const right = column === null ? privilege : `${privilege} (${quoteIdentifier(column)})`;
    const to = grantee === null ? 'PUBLIC' : quoteIdentifier(grantee);
    statements.push(`GRANT ${right} ON ${name} TO ${to}${grantable ? ' WITH GRANT OPTION' : ''}`);
  }
  if (!view.ownerIsCurrent) statements.push(`ALTER ${kind} ${name} OWNER TO ${quoteIdentifier(view.owner)}`);
  return statements;
}
