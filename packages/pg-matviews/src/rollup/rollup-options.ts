import type { ViewDefinition } from '../view.ts';
import type { Compilable } from '../view-query.ts';
import type { Rollup } from './compiled-rollup.ts';
import type { Bucket, BucketUnit } from './key.ts';
import type { Measure } from './measure.ts';
import type { SqlType } from './sql-type.ts';

/** A column that readers see and that is computed from the others at every read. */
export interface DerivedColumn<Type extends SqlType = SqlType> {
  readonly type: Type;
  /** SQL over the key columns and measures. */
  readonly sql: string;
}

/** What the function of an SQL form is given. */
export interface RollupScope {
  /**
   * Marks where the table of the rollup is read: a refresh of some groups puts the rows of those groups there. Gives
   * the name to use in the query: a Kysely `selectFrom` takes it as it is, and so does SQL, which quotes it if it must be.
   */
  scope<Table extends string>(table: Table): Table;
}

/** A table beside the rollup's own whose writes change groups. */
export interface RollupDimension {
  /** Key columns of the rollup to the table's own columns that hold the same value. Empty: every group. */
  readonly key?: Readonly<Record<string, string>>;
}

/** What a rollup is. */
export interface RollupOptions<
  Keys,
  Measures,
  Derived,
  Name extends string = string,
  From extends string = string,
> {
  /** The name of the view people read; taken literally. `<name>_live` is the exact one. */
  readonly name: Name;
  /** The table that is summed up: `table` or `schema.table`. */
  readonly from: From;
  /** What makes a group. Rows that hold NULL in one of them belong to no group. */
  readonly key: Keys;
  /** The numbers of a group. */
  readonly measures?: Measures;
  /** Computed from key and measures at every read. */
  readonly derived?: Derived;
  /** Only rows that satisfy this SQL condition on columns of the table. */
  readonly where?: string;
  /** SQL in place of `measures`: gives the key columns and the others, one row per key. */
  readonly query?: (scope: RollupScope) => string | Compilable;
  /** Tables that the SQL reads beside `from`. */
  readonly dimensions?: Readonly<Record<string, RollupDimension>>;
  /** The last so many buckets of a key, the present one included; older groups are not shown, and removed. */
  readonly window?: { readonly key: keyof Keys & string; readonly buckets: number };
  /** A view may use views of lower layers only. */
  readonly layer?: number;
  /**
   * The key column that says whose row it is. With `setting`, row-level security shows everybody but the owner only
   * the rows whose tenant is `current_setting(setting)`; who has set none, or an empty text, sees no row.
   */
  readonly tenant?:
    | (keyof Keys & string)
    | { readonly column: keyof Keys & string; readonly setting: string };
}

/** Keys of a rollup over a table with these columns. */
export type RollupKeys<Column extends string = string> = Readonly<
  Record<string, Column | Bucket<Column, BucketUnit>>
>;
/** Measures of a rollup over a table with these columns. */
export type RollupMeasures<Column extends string = string> = Readonly<
  Record<string, Measure<unknown, Column>>
>;
/** Derived columns of a rollup. */
export type RollupDerived = Readonly<Record<string, DerivedColumn>>;

/** A rollup definition: what `defineRollup` gives. */
export type RollupDefinition<Name extends string = string, Row = unknown> = ViewDefinition<Name, Row> & {
  readonly kind: 'rollup';
  readonly rollup: Rollup;
};
