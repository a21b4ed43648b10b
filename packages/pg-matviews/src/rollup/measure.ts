import { ConfigurationError } from '@cachekit/core';
import { quoteIdentifier } from '@cachekit/core/postgres';
import { assertIdentifier } from '../identifier.ts';
import { withoutTail } from '../sql/scan.ts';
import { assertSqlType, type SqlType, type ValueOf } from './sql-type.ts';

/** What a measure makes of the rows of a group. */
export type MeasureKind = 'count' | 'sum' | 'avg' | 'min' | 'max' | 'countDistinct';

declare const ofColumn: unique symbol;

/** Stands for "whatever the column holds"; a definition typed by a database puts the column's type in its place. */
export interface OfColumn {
  readonly [ofColumn]: true;
}

/** A column of a stored group and the aggregate that fills it. */
export interface StoredColumn {
  readonly name: string;
  readonly sql: string;
}

/**
 * A number (or time) per group. Immutable: `where` and `as` give a new one.
 *
 * @typeParam Value - What `pg` gives for it; 64-bit integers and numerics are text there.
 * @typeParam Column - The column it is about.
 */
export class Measure<Value = unknown, Column extends string = string> {
  readonly kind: MeasureKind;
  readonly column: Column | undefined;
  /** SQL condition on rows. */
  readonly filter: string | undefined;
  readonly type: string | undefined;
  /** Only for types. */
  declare readonly value?: Value;

  constructor(kind: MeasureKind, column?: Column, filter?: string, type?: string) {
    this.kind = kind;
    this.column = column;
    this.filter = filter;
    this.type = type;
  }

  /**
   * Counts only rows that satisfy an SQL condition on columns of the table; a second `where` narrows the first.
   *
   * @throws ConfigurationError `INVALID_CONFIGURATION`
   */
  where(condition: string): Measure<Value, Column> {
    if (typeof condition !== 'string' || condition.trim() === '') {
      throw new ConfigurationError(`${this.kind}: where is an SQL condition`);
    }
    const more = `(${withoutTail(condition)})`;
    const filter = this.filter === undefined ? more : `${this.filter} AND ${more}`;
    return new Measure(this.kind, this.column, filter, this.type);
  }

  /**
   * Shows the measure as another type: `count().as('integer')` is a number in JavaScript.
   *
   * A value that does not fit makes reading fail; what is stored is not cast.
   *
   * @throws ConfigurationError `INVALID_CONFIGURATION`
   */
  as<Type extends SqlType>(type: Type): Measure<ValueOf<Type> | Extract<Value, null>, Column> {
    assertSqlType(type, this.kind);
    return new Measure(this.kind, this.column, this.filter, type);
  }
}

/** Rows, or rows whose `column` is not null. */
export function count(): Measure<string, never>;
export function count<Column extends string>(column: Column): Measure<string, Column>;
export function count(column?: string): Measure<string> {
  return about('count', column);
}

/** Different values of a column that are not null. Stored per group: those of two groups cannot be added. */
export function countDistinct<Column extends string>(column: Column): Measure<string, Column> {
  return about('countDistinct', column);
}

/** Null for a group without a value. */
export function sum<Column extends string>(column: Column): Measure<string | null, Column> {
  return about('sum', column);
}

/**
 * Stored as sum and count, in columns `<name>__sum` and `<name>__count` of the stored table, so that it stays exact;
 * define `sum` and `count` beside it to compose averages of groups.
 */
export function avg<Column extends string>(column: Column): Measure<string | null, Column> {
  return about('avg', column);
}

/** The least value; null for a group without one. */
export function min<Column extends string>(column: Column): Measure<OfColumn | null, Column> {
  return about('min', column);
}

/** The greatest value; null for a group without one. */
export function max<Column extends string>(column: Column): Measure<OfColumn | null, Column> {
  return about('max', column);
}

function about<Value, Column extends string>(kind: MeasureKind, column?: Column): Measure<Value, Column> {
  if (column !== undefined || kind !== 'count') assertIdentifier(column, kind);
  return new Measure<Value, Column>(kind, column);
}

/** The columns in which a measure is stored, over rows called `t`. */
export function storedColumns(name: string, measure: Measure): StoredColumn[] {
  const column = measure.column === undefined ? '*' : `t.${quoteIdentifier(measure.column)}`;
  const filter = measure.filter === undefined ? '' : ` FILTER (WHERE ${measure.filter})`;
  if (measure.kind === 'avg') {
    return [
      { name: `${name}__sum`, sql: `sum(${column})${filter}` },
      { name: `${name}__count`, sql: `count(${column})${filter}` },
    ];
  }
  if (measure.kind === 'countDistinct') return [{ name, sql: `count(DISTINCT ${column})${filter}` }];
  return [{ name, sql: `${measure.kind}(${column})${filter}` }];
}

/** The measure as readers see it, over its stored columns. */
export function shownColumn(name: string, measure: Measure): string {
  const stored =
    measure.kind === 'avg'
      ? `${quoteIdentifier(`${name}__sum`)}::numeric / nullif(${quoteIdentifier(`${name}__count`)}, 0)`
      : quoteIdentifier(name);
  return measure.type === undefined ? stored : `(${stored})::${measure.type}`;
}
