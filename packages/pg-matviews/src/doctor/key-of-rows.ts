import type { SqlExecutor } from '@cachekit/core';
import { quoteIdentifier } from '@cachekit/core/postgres';
import { groupKey } from './select-text.ts';

interface KeyedView {
  readonly relation: string;
  readonly populated: boolean;
  readonly definition: string;
  readonly columns: readonly string[];
  readonly indexed: readonly (readonly string[])[];
}

/** Pairs of more columns than these are not tried. */
const mostColumns = 8;

/**
 * Columns that tell the rows of a view apart: those of its GROUP BY, else what is indexed, a column, or two, that is
 * unique in the rows that are there.
 */
export async function keyOfRows(sql: SqlExecutor, view: KeyedView): Promise<readonly string[] | undefined> {
  const grouped = groupKey(view.definition);
  if (grouped?.every((column) => view.columns.includes(column))) return grouped;
  if (!view.populated) return undefined;
  const tried = view.columns.slice(0, mostColumns);
  const candidates = [
    ...view.indexed.filter((columns) => columns !== null && columns.length > 0),
    ...tried.map((column) => [column]),
    ...tried.flatMap((one, at) => tried.slice(at + 1).map((other) => [one, other])),
  ];
  for (const candidate of candidates) if (await isKey(sql, view.relation, candidate)) return candidate;
  return undefined;
}

async function isKey(sql: SqlExecutor, relation: string, columns: readonly string[]): Promise<boolean> {
  const list = columns.map(quoteIdentifier).join(', ');
  const nulls = columns.map((column) => `${quoteIdentifier(column)} IS NULL`).join(' OR ');
  try {
    const { rows } = await sql.transaction((savepoint) =>
      savepoint.query<{ key: boolean }>(
        `SELECT EXISTS (SELECT FROM ${relation}) AND NOT EXISTS (SELECT FROM ${relation} WHERE ${nulls})
           AND NOT EXISTS (SELECT FROM ${relation} GROUP BY ${list} HAVING count(*) > 1) AS key`,
      ),
    );
    return rows[0]?.key === true;
  } catch {
    // Of a type that cannot be compared, or not to be read: nothing to propose.
    return false;
  }
}
