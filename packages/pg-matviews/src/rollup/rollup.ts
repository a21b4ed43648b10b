import { assertKnownOptions, ConfigurationError } from '@cachekit/core';
import { parseQualifiedName, quoteIdentifier, quoteQualified } from '@cachekit/core/postgres';
import { assertIdentifier } from '../identifier.ts';
import { referencesOf } from '../sql/references.ts';
import { scanSql } from '../sql/scan.ts';
import type { ViewDefinition } from '../view.ts';
import { type Compilable, viewQuery } from '../view-query.ts';
import { viewSource } from '../view-source.ts';
import type { Rollup } from './compiled-rollup.ts';
import {
  type Bucket,
  type BucketUnit,
  bucketAgoSql,
  coversSql,
  keySql,
  type RollupKey,
  rollupKey,
} from './key.ts';
import { Measure, shownColumn, storedColumns } from './measure.ts';
import type { RollupRow } from './row.ts';
import { assertSqlType, type SqlType } from './sql-type.ts';

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
   * the name to use in the query; SQL and a Kysely `selectFrom` take it as it is.
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
   * the rows whose tenant is `current_setting(setting)`.
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

const known = [
  'name',
  'from',
  'key',
  'measures',
  'derived',
  'where',
  'query',
  'dimensions',
  'window',
  'layer',
  'tenant',
];
const mostKeys = 16;

/** A rollup definition: what {@link defineRollup} gives. */
export type RollupDefinition<Name extends string = string, Row = unknown> = ViewDefinition<Name, Row> & {
  readonly kind: 'rollup';
  readonly rollup: Rollup;
};

/**
 * Describes a rollup: a table with one row per key, kept by recomputing only the groups that changed, behind a view.
 *
 * `<name>` shows the groups as of the last refresh. `<name>_live` is exact in every snapshot: it computes the groups that
 * changed since, and takes the others from the table. Nothing touches the database before `createViews(...).apply()`.
 * An index of the table that begins with the key columns is what makes a refresh cheap.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an unknown option, neither or both of `measures` and `query`,
 * a query that is not read through `scope`, a window over a key that is no bucket, a tenant that is no key.
 * @example
 * const callsPerDay = defineRollup({
 *   name: 'mv_calls_per_day',
 *   from: 'calls',
 *   key: { user_id: 'user_id', date: bucket('start_time', 'day', { timeZone: 'America/Sao_Paulo' }) },
 *   window: { key: 'date', buckets: 90 },
 *   measures: { total: count(), answered: count().where(`status = 'answered'`), seconds: sum('duration'), timed: count('duration') },
 *   derived: { average: { type: 'numeric(12,2)', sql: 'seconds::numeric / nullif(timed, 0)' } },
 *   tenant: 'user_id',
 * });
 */
export function defineRollup<
  const Name extends string,
  const From extends string,
  const Keys extends RollupKeys,
  const Measures extends RollupMeasures = Record<never, never>,
  const Derived extends RollupDerived = Record<never, never>,
>(
  options: RollupOptions<Keys, Measures, Derived, Name, From>,
): RollupDefinition<Name, RollupRow<unknown, Keys, Measures, Derived>> {
  return compiled(options as unknown as AnyRollupOptions) as RollupDefinition<
    Name,
    RollupRow<unknown, Keys, Measures, Derived>
  >;
}

/** {@link defineRollup} that knows the tables of a Kysely database: columns are checked and typed. */
export type RollupsOf<Database> = <
  const Name extends string,
  const From extends keyof Database & string,
  const Keys extends RollupKeys<keyof Database[From] & string>,
  const Measures extends RollupMeasures<keyof Database[From] & string> = Record<never, never>,
  const Derived extends RollupDerived = Record<never, never>,
>(
  options: RollupOptions<Keys, Measures, Derived, Name, From>,
) => RollupDefinition<Name, RollupRow<Database[From], Keys, Measures, Derived>>;

/**
 * `defineRollup` for a Kysely database: tables and columns are checked by the compiler, and rows have their types.
 *
 * @example
 * const rollup = rollupsOf<{ calls: { user_id: number } }>();
 * const perUser = rollup({ name: 'calls_per_user', from: 'calls', key: { user_id: 'user_id' }, measures: { total: count() } });
 */
export function rollupsOf<Database>(): RollupsOf<Database> {
  return defineRollup as RollupsOf<Database>;
}

/** Name of the exact view of a rollup. */
export function liveName(name: string): string {
  return `${name}_live`;
}

type AnyRollupOptions = RollupOptions<RollupKeys, RollupMeasures, RollupDerived>;

function compiled(options: AnyRollupOptions): RollupDefinition {
  assertKnownOptions('defineRollup', options, known);
  const { name, from, layer } = options;
  assertIdentifier(name, 'defineRollup: name');
  assertIdentifier(liveName(name), 'defineRollup: name');
  const what = `defineRollup "${name}"`;
  // Room for what CacheKit appends to the names of the table and the log behind it.
  if (new TextEncoder().encode(name).length > 50) {
    throw new ConfigurationError(`${what}: a name of a rollup has at most 50 bytes`);
  }
  if (layer !== undefined && !(Number.isInteger(layer) && layer >= 0)) {
    throw new ConfigurationError(`${what}: layer is an integer >= 0`);
  }
  const source = viewSource(name, undefined, from, {});
  const parsed = parseQualifiedName(from);
  const fromSql =
    parsed.schema === undefined
      ? quoteIdentifier(parsed.name)
      : quoteQualified({ schema: parsed.schema, name: parsed.name });
  const keys = Object.entries(options.key ?? {}).map(([key, of]) => rollupKey(name, key, of));
  if (keys.length === 0 || keys.length > mostKeys) {
    throw new ConfigurationError(`${what}: key has 1 to ${mostKeys} columns`);
  }
  const shape = options.query === undefined ? measured(what, options, keys) : queried(what, options, keys);
  const derived = Object.entries(options.derived ?? {}).map(([column, { type, sql }]) => {
    assertIdentifier(column, `${what}: derived`);
    assertSqlType(type, `${what}: derived "${column}"`);
    return [column, `(${sql})::${type}`] as const;
  });
  const tenant = tenantOf(what, options, keys);
  const rollup: Rollup = {
    from: source.table,
    fromSql,
    keys,
    ...shape,
    derived,
    ...windowOf(what, options, keys),
    setting: tenant.setting,
  };
  const query = shownSql(rollup, `(${rollup.groups})`);
  return {
    name,
    kind: 'rollup',
    layer,
    query,
    references: referencesOf(scanSql(query)),
    indexes: [],
    tenant: tenant.column,
    sources: [
      { ...source, tenant: undefined },
      ...Object.entries(options.dimensions ?? {}).map(([table, dimension]) => {
        assertKnownOptions(`${what}: dimension "${table}"`, dimension, ['key']);
        for (const key of Object.keys(dimension.key ?? {})) {
          if (!keys.some((one) => one.name === key)) {
            throw new ConfigurationError(`${what}: dimension "${table}" names "${key}", which is no key`);
          }
        }
        return viewSource(name, undefined, table, dimension);
      }),
    ],
    refresh: 'auto',
    rollup,
  };
}

/** What readers see of groups in `relation`, with the window and the derived columns. */
export function shownSql(rollup: Rollup, relation: string): string {
  const columns =
    rollup.shown === undefined
      ? 'g.*'
      : [
          ...rollup.keys.map((key) => `g.${quoteIdentifier(key.name)}`),
          ...rollup.shown.map(([column, sql]) => `${sql} AS ${quoteIdentifier(column)}`),
        ].join(', ');
  const where = rollup.window === undefined ? '' : ` WHERE ${rollup.window}`;
  const plain = `SELECT ${columns} FROM ${relation} g${where}`;
  if (rollup.derived.length === 0) return plain;
  const derived = rollup.derived.map(([column, sql]) => `${sql} AS ${quoteIdentifier(column)}`);
  return `SELECT s.*, ${derived.join(', ')} FROM (${plain}) s`;
}

type Shape = Pick<Rollup, 'alias' | 'groups' | 'seldom' | 'scoped' | 'stored' | 'shown'>;

function measured(what: string, options: AnyRollupOptions, keys: readonly RollupKey[]): Shape {
  if (options.measures === undefined) throw new ConfigurationError(`${what}: give measures or query`);
  if (options.dimensions !== undefined) {
    throw new ConfigurationError(`${what}: measures read one table; dimensions are for query`);
  }
  const stored: { readonly name: string; readonly sql: string }[] = [];
  const shown: (readonly [string, string])[] = [];
  for (const [name, measure] of Object.entries(options.measures)) {
    assertIdentifier(name, `${what}: measure`);
    if (!(measure instanceof Measure)) throw new ConfigurationError(`${what}: "${name}" is no measure`);
    stored.push(...storedColumns(name, measure));
    shown.push([name, shownColumn(name, measure)]);
  }
  const names = [...keys.map((key) => key.name), ...stored.map((column) => column.name)];
  if (new Set(names).size < names.length) throw new ConfigurationError(`${what}: two columns have one name`);
  const select = [
    ...keys.map((key) => `${keySql(key, 't')} AS ${quoteIdentifier(key.name)}`),
    ...stored.map((column) => `${column.sql} AS ${quoteIdentifier(column.name)}`),
  ].join(', ');
  const filter = options.where === undefined ? [] : [`(${options.where})`];
  const columns = keys.map((key) => `t.${quoteIdentifier(key.column)}`);
  const by = keys.map((_, at) => at + 1).join(', ');
  const parsed = parseQualifiedName(options.from);
  const table =
    parsed.schema === undefined
      ? quoteIdentifier(parsed.name)
      : quoteQualified({ schema: parsed.schema, name: parsed.name });
  const groups = (more: readonly string[]): string =>
    `SELECT ${select} FROM ${table} t WHERE ${[...columns.map((column) => `${column} IS NOT NULL`), ...filter, ...more].join(' AND ')} GROUP BY ${by}`;
  return {
    alias: undefined,
    groups: groups([]),
    // Always true, which the planner does not know.
    seldom: groups(columns.map((column) => `${column} IS NOT DISTINCT FROM ${column}`)),
    // The rows are those of one group, so nothing is to be grouped.
    scoped: `SELECT ${[
      ...keys.map((key, at) => `d.k${at} AS ${quoteIdentifier(key.name)}`),
      ...stored.map((column) => `${column.sql} AS ${quoteIdentifier(column.name)}`),
    ].join(
      ', ',
    )} FROM ${table} t WHERE ${[...keys.map((key, at) => coversSql(key, 't', `d.k${at}`)), ...filter].join(' AND ')} HAVING count(*) > 0`,
    stored: stored.map((column) => column.name),
    shown,
  };
}

function queried(what: string, options: AnyRollupOptions, keys: readonly RollupKey[]): Shape {
  const { query, from } = options;
  if (typeof query !== 'function') throw new ConfigurationError(`${what}: query is a function of scope`);
  for (const other of ['measures', 'where'] as const) {
    if (options[other] !== undefined)
      throw new ConfigurationError(`${what}: query takes the place of ${other}`);
  }
  const bare = parseQualifiedName(from).name;
  const written = (name: string): string => {
    let seen = false;
    const text = viewQuery(
      options.name,
      query({
        scope<Table extends string>(table: Table): Table {
          if (table !== from) return table;
          seen = true;
          return name as Table;
        },
      }),
    );
    if (!seen) throw new ConfigurationError(`${what}: the query reads "${from}" through scope('${from}')`);
    const conditions = keys.map((key) => `q.${quoteIdentifier(key.name)} IS NOT NULL`);
    return `SELECT q.* FROM (${text}) q WHERE ${conditions.join(' AND ')}`;
  };
  const groups = written(from);
  return { alias: bare, groups, seldom: groups, scoped: written(bare), stored: undefined, shown: undefined };
}

function tenantOf(
  what: string,
  { tenant }: AnyRollupOptions,
  keys: readonly RollupKey[],
): { column: string | undefined; setting: string | undefined } {
  const column = typeof tenant === 'object' ? tenant.column : tenant;
  const setting = typeof tenant === 'object' ? tenant.setting : undefined;
  if (column !== undefined && !keys.some((key) => key.name === column)) {
    throw new ConfigurationError(`${what}: the tenant is one of the key columns`);
  }
  if (setting !== undefined && !/^[A-Za-z_]\w*\.[A-Za-z_]\w*$/.test(setting)) {
    throw new ConfigurationError(`${what}: setting is a name such as "app.user_id"`);
  }
  return { column, setting };
}

function windowOf(
  what: string,
  { window }: AnyRollupOptions,
  keys: readonly RollupKey[],
): Pick<Rollup, 'window' | 'expired'> {
  if (window === undefined) return { window: undefined, expired: undefined };
  assertKnownOptions(`${what}: window`, window, ['key', 'buckets']);
  const key = keys.find((one) => one.name === window.key);
  if (key?.bucket === undefined)
    throw new ConfigurationError(`${what}: window is over a key that is a bucket`);
  if (!(Number.isInteger(window.buckets) && window.buckets > 0)) {
    throw new ConfigurationError(`${what}: a window has at least one bucket`);
  }
  const column = `g.${quoteIdentifier(key.name)}`;
  return {
    window: `${column} >= ${bucketAgoSql(key.bucket, window.buckets - 1)}`,
    // Readers whose transaction began in the bucket before still see their window.
    expired: `${column} < ${bucketAgoSql(key.bucket, window.buckets + 1)}`,
  };
}
