import { assertKnownOptions, ConfigurationError } from '@cachekit/core';
import { quoteIdentifier } from '@cachekit/core/postgres';
import { assertIdentifier, fittingIdentifier } from './identifier.ts';
import { relationSql } from './sql/relation.ts';

/** An index of a materialized view. */
export interface ViewIndexOptions {
  /** Columns in order, each a name that may be followed by `asc` or `desc` and `nulls first` or `nulls last`. */
  readonly columns: readonly string[];
  /** A unique index over all rows is what REFRESH ... CONCURRENTLY needs. @defaultValue false */
  readonly unique?: boolean;
  /** @defaultValue the view's name, the columns and `key` or `idx` */
  readonly name?: string;
  /** Only rows that satisfy this SQL condition are indexed; such an index does not serve CONCURRENTLY. */
  readonly where?: string;
}

/** One column of an index. */
export interface IndexColumn {
  readonly name: string;
  /** ` DESC`, ` NULLS LAST`, ... or empty. */
  readonly order: string;
}

/** An index as it will be created. */
export interface ViewIndex {
  readonly name: string;
  readonly columns: readonly IndexColumn[];
  readonly unique: boolean;
  readonly where: string | undefined;
}

/** @throws ConfigurationError `INVALID_CONFIGURATION` */
export function viewIndex(view: string, options: ViewIndexOptions): ViewIndex {
  const what = `defineView "${view}": index`;
  assertKnownOptions(what, options, ['columns', 'unique', 'name', 'where']);
  if (!Array.isArray(options.columns) || options.columns.length === 0) {
    throw new ConfigurationError(`${what}: columns is a list of at least one column`);
  }
  const columns = options.columns.map((column) => indexColumn(what, column));
  const unique = options.unique ?? false;
  if (typeof unique !== 'boolean') throw new ConfigurationError(`${what}: unique is true or false`);
  const where = options.where?.trim();
  if (where === '') throw new ConfigurationError(`${what}: where is empty`);
  const name =
    options.name ??
    fittingIdentifier([view, ...columns.map((column) => column.name), unique ? 'key' : 'idx'].join('_'));
  assertIdentifier(name, `${what} name`);
  return { name, columns, unique, where };
}

/** Whether REFRESH ... CONCURRENTLY can use the index. */
export function servesConcurrently(index: ViewIndex): boolean {
  return index.unique && index.where === undefined;
}

/** The statement that creates the index. */
export function createIndexSql(schema: string, view: string, index: ViewIndex): string {
  const columns = index.columns.map((column) => quoteIdentifier(column.name) + column.order).join(', ');
  const where = index.where === undefined ? '' : ` WHERE ${index.where}`;
  return `CREATE ${index.unique ? 'UNIQUE ' : ''}INDEX ${quoteIdentifier(index.name)} ON ${relationSql(schema, view)} (${columns})${where}`;
}

const ordered = /^(.+?)(?:\s+(asc|desc))?(?:\s+nulls\s+(first|last))?$/i;

function indexColumn(what: string, text: unknown): IndexColumn {
  const match = typeof text === 'string' ? ordered.exec(text.trim()) : null;
  if (match === null) throw new ConfigurationError(`${what}: ${JSON.stringify(text)} is no column`);
  const [, name, direction, nulls] = match;
  assertIdentifier(name, `${what} column`);
  const order =
    (direction === undefined ? '' : ` ${direction.toUpperCase()}`) +
    (nulls === undefined ? '' : ` NULLS ${nulls.toUpperCase()}`);
  return { name, order };
}
