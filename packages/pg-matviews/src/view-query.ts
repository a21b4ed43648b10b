import { ConfigurationError } from '@cachekit/core';
import { inlineParameters } from './sql/inline-parameters.ts';
import { scanSql, withoutTail } from './sql/scan.ts';

/**
 * What a query builder gives: its SQL and the values of its placeholders.
 *
 * A Kysely query fits as it is. The values become constants of the definition.
 */
export interface Compilable<Row = unknown> {
  /** Called once, when the view is defined. */
  compile(): { readonly sql: string; readonly parameters: readonly unknown[] };
  /** Never called; says the type of a row. */
  execute?(): Promise<readonly Row[]>;
}

/**
 * The one SELECT that defines a view, without placeholders and without a semicolon.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if it is empty, more than one statement, or holds placeholders
 * that have no value.
 */
export function viewQuery(view: string, query: unknown): string {
  const { sql, parameters } = compiled(view, query);
  const inlined = withoutTail(inlineParameters(view, sql, parameters).trim(), true);
  const tokens = scanSql(inlined).filter((token) => token.kind !== 'space');
  const first = tokens[0]?.text.toLowerCase();
  if (first === undefined) throw new ConfigurationError(`defineView "${view}": query is empty`);
  if (!['select', 'with', 'values', 'table', '('].includes(first)) {
    throw new ConfigurationError(
      `defineView "${view}": query begins with "${tokens[0]?.text}"; give a SELECT`,
    );
  }
  if (tokens.some((token) => token.text === ';')) {
    throw new ConfigurationError(`defineView "${view}": query is more than one statement`);
  }
  return inlined;
}

function compiled(view: string, query: unknown): { sql: string; parameters: readonly unknown[] } {
  if (typeof query === 'string') return { sql: query, parameters: [] };
  const compilable = query as Partial<Compilable> | null | undefined;
  if (typeof compilable === 'object' && compilable !== null && typeof compilable.compile === 'function') {
    const { sql, parameters } = compilable.compile();
    if (typeof sql === 'string') return { sql, parameters: parameters ?? [] };
  }
  throw new ConfigurationError(`defineView "${view}": query is neither SQL nor something with compile()`);
}
