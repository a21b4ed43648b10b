import { quoteIdentifier } from '@cachekit/core/postgres';
import type { MarkUnit } from './mark-trigger.ts';

/** What has to be known of a column of the table. */
export interface MarkColumn {
  /** `pg_type.typname`, below all domains. */
  readonly type: string;
  /** What a virtual generated column is computed from. */
  readonly expression: string | null;
}

/** Where a trigger finds the rows of its event. */
export interface RowsOf {
  readonly inserted: string;
  readonly deleted: string;
}

const rowsOf: Readonly<Record<MarkUnit, RowsOf>> = {
  statement: { inserted: 'new_rows', deleted: 'old_rows' },
  row: { inserted: '(SELECT NEW.*)', deleted: '(SELECT OLD.*)' },
};

/**
 * The rows of a trigger with the columns in `reads`. PostgreSQL shows triggers no virtual generated column, so those are
 * computed here; `computed` tells that there are such.
 */
export function rowsSeen(
  per: MarkUnit,
  reads: ReadonlySet<string>,
  columns: ReadonlyMap<string, MarkColumn>,
): RowsOf & { readonly computed: boolean } {
  const rows = rowsOf[per];
  const expressionOf = (column: string): string | null => columns.get(column)?.expression ?? null;
  if (![...reads].some((column) => expressionOf(column) !== null)) return { ...rows, computed: false };
  const list = [...reads].map((column) => {
    const expression = expressionOf(column);
    const name = quoteIdentifier(column);
    return expression === null ? `v.${name}` : `(${expression}) AS ${name}`;
  });
  const select = (of: string): string => `(SELECT ${list.join(', ')} FROM ${of} v)`;
  return { inserted: select(rows.inserted), deleted: select(rows.deleted), computed: true };
}
