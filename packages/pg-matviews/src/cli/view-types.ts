import { ConfigurationError, type SqlExecutor } from '@cachekit/core';
import { liveName } from '../rollup/compiled-rollup.ts';
import { jsonRows } from '../sql/json-rows.ts';
import type { ViewDefinition } from '../view.ts';

/** What the client \`pg\` makes of a type, by the name of the type in the catalog. */
const typescript: Readonly<Record<string, string>> = {
  bool: 'boolean',
  int2: 'number',
  int4: 'number',
  oid: 'number',
  float4: 'number',
  float8: 'number',
  date: 'Date',
  timestamp: 'Date',
  timestamptz: 'Date',
  bytea: 'Buffer',
  json: 'unknown',
  jsonb: 'unknown',
};

interface ViewColumn {
  readonly view: string;
  readonly column: string;
  readonly type: string;
  readonly array: boolean;
}

/**
 * Types of the views as the database has them, as an interface for Kysely. The server does not say whether a column of
 * a view may be NULL, so every one may, but the keys of rollups.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if a view was never applied.
 */
export async function viewTypes(
  sql: SqlExecutor,
  schema: string,
  views: readonly ViewDefinition[],
): Promise<string> {
  const names = views.flatMap(({ name, kind }) => (kind === 'rollup' ? [name, liveName(name)] : [name]));
  const columns = await jsonRows<ViewColumn>(
    sql,
    `SELECT c.relname AS view, a.attname AS column, coalesce(e.typname, t.typname) AS type, e.oid IS NOT NULL AS array
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
     WHERE n.nspname = $1 AND c.relkind IN ('v', 'm') AND c.relname = ANY ($2::text[]) ORDER BY array_position($2::text[], c.relname::text), a.attnum`,
    [schema, names],
  );
  const absent = names.find((name) => !columns.some(({ view }) => view === name));
  if (absent !== undefined)
    throw new ConfigurationError(`View "${absent}" is not in the database; apply it first`);
  const keys = new Map(
    views.flatMap(({ name, rollup }) => {
      const of = new Set(rollup?.keys.map((key) => key.name));
      return [[name, of] as const, [liveName(name), of] as const];
    }),
  );
  const members = names.map((name) => {
    const lines = columns
      .filter(({ view }) => view === name)
      .map(({ column, type, array }) => {
        const one = typescript[type] ?? 'string';
        const written = array ? `${one}[]` : one;
        const nullable = keys.get(name)?.has(column) === true || written === 'unknown' ? '' : ' | null';
        return `    ${propertyName(column)}: ${written}${nullable};\n`;
      });
    return `  ${propertyName(name)}: {\n${lines.join('')}  };\n`;
  });
  return `export interface ViewDatabase {\n${members.join('')}}\n`;
}

function propertyName(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}
