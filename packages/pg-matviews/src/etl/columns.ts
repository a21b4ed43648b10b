import type { SqlExecutor } from '@cachekit/core';
import { quoteIdentifier } from '@cachekit/core/postgres';
import { jsonRows } from '../sql/json-rows.ts';

/** A column of a relation. */
export interface Column {
  readonly name: string;
  /** As `format_type` writes it. */
  readonly type: string;
  readonly nullable: boolean;
  readonly generated: boolean;
  /** Its type is the same in every database. */
  readonly builtin: boolean;
}

/** Columns of a relation in their order; none if there is no such relation. */
export function columnsOf(sql: SqlExecutor, relation: string): Promise<Column[]> {
  return jsonRows<Column>(
    sql,
    `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull AS nullable,
       a.attgenerated <> '' AS generated, a.atttypid < 10000 AS builtin
     FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    [relation],
  );
}

/** Types without an equality that `IS DISTINCT FROM` could use. */
const incomparable = new Set([
  'json',
  'xml',
  'point',
  'line',
  'lseg',
  'box',
  'path',
  'polygon',
  'circle',
  'json[]',
  'xml[]',
]);

/** The column as something that can be compared. */
export function comparable(prefix: string, column: Column): string {
  const name = `${prefix}${quoteIdentifier(column.name)}`;
  return incomparable.has(column.type) ? `${name}::text` : name;
}

/** The key as something that has the same order in every database. */
export function ordered(expression: string, type: string): string {
  return /^(text|character|citext)/.test(type) ? `(${expression})::text COLLATE "C"` : expression;
}
