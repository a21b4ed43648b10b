import type { SqlExecutor } from '@cachekit/core';
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
  /** The order of its values is not the same in every database: that of texts and enums, also below a domain. */
  readonly unordered: boolean;
}

/** Columns of a relation in their order; none if there is no such relation. */
export function columnsOf(sql: SqlExecutor, relation: string): Promise<Column[]> {
  return jsonRows<Column>(
    sql,
    `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull AS nullable,
       a.attgenerated <> '' AS generated, a.atttypid < 10000 AS builtin,
       t.typcollation <> 0 OR EXISTS (WITH RECURSIVE below (oid) AS (SELECT t.oid UNION ALL
         SELECT d.typbasetype FROM below JOIN pg_type d ON d.oid = below.oid AND d.typtype = 'd')
         SELECT FROM below JOIN pg_type b ON b.oid = below.oid AND b.typtype = 'e') AS unordered
     FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    [relation],
  );
}

/** The key as something that has the same order in every database. */
export function ordered(expression: string, key: Column): string {
  return key.unordered ? `(${expression})::text COLLATE "C"` : expression;
}

/** The text of a key, given as SQL, as something that {@link ordered} keys are compared with. */
export function bound(text: string, { type, unordered }: Column): string {
  return unordered ? `${text}::text` : `${text}::text::${type}`;
}
