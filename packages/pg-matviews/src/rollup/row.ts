import type { ViewDefinition } from '../view.ts';
import type { Bucket } from './key.ts';
import type { Measure, OfColumn } from './measure.ts';
import type { SqlType, ValueOf } from './sql-type.ts';

/** What a column reads as: Kysely's column types say it themselves. */
type Selected<Value> = Value extends { readonly __select__: infer Selecting } ? Selecting : Value;

/** What a column of a table reads as; `unknown` if the table is not known. */
type ColumnValue<Table, Column> = Column extends keyof Table ? Selected<Table[Column]> : unknown;

type KeyValue<Table, Key> = Key extends Bucket ? Date : NonNullable<ColumnValue<Table, Key>>;

type MeasureValue<Table, Of> =
  Of extends Measure<infer Value, infer Column>
    ? [Extract<Value, OfColumn>] extends [never]
      ? Value
      : NonNullable<ColumnValue<Table, Column>> | Extract<Value, null>
    : never;

type DerivedValue<Of> = Of extends { readonly type: infer Type extends SqlType }
  ? ValueOf<Type> | null
  : never;

/** A row of a rollup, as `pg` gives it. */
export type RollupRow<Table, Keys, Measures, Derived> = {
  -readonly [Name in keyof Keys]: KeyValue<Table, Keys[Name]>;
} & { -readonly [Name in keyof Measures]: MeasureValue<Table, Measures[Name]> } & {
  -readonly [Name in keyof Derived]: DerivedValue<Derived[Name]>;
};

type Flat<Row> = Row extends object ? { [Column in keyof Row]: Row[Column] } : Row;

/**
 * The part of a Kysely database that the views are: a table type per view, and one per `<name>_live` of a rollup.
 *
 * @example
 * const perUser = defineRollup({ name: 'calls_per_user', from: 'calls', key: { user_id: 'user_id' }, measures: { total: count() } });
 * type Views = InferDatabase<readonly [typeof perUser]>;
 */
export type InferDatabase<Views extends readonly ViewDefinition[]> = {
  [View in Views[number] as View['name']]: Flat<NonNullable<View['row']>>;
} & {
  [View in Views[number] as View extends { readonly kind: 'rollup' } ? `${View['name']}_live` : never]: Flat<
    NonNullable<View['row']>
  >;
};
