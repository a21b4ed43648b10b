import { assertKnownOptions, ConfigurationError } from '@cachekit/core';
import { parseQualifiedName, quoteIdentifier, quoteQualified } from '@cachekit/core/postgres';
import { assertIdentifier } from '../identifier.ts';
import { referencesOf } from '../sql/references.ts';
import { scanSql, withoutTail } from '../sql/scan.ts';
import { viewQuery } from '../view-query.ts';
import { viewSource } from '../view-source.ts';
import { liveName, type Rollup, shownSql } from './compiled-rollup.ts';
import { bucketAgoSql, coversSql, keySql, type RollupKey, rollupKey } from './key.ts';
import { Measure, shownColumn, storedColumns } from './measure.ts';
import { assertColumnsOfUser, assertNotHidden } from './own-names.ts';
import type {
  RollupDefinition,
  RollupDerived,
  RollupKeys,
  RollupMeasures,
  RollupOptions,
} from './rollup-options.ts';
import { assertSqlType } from './sql-type.ts';

/** Options of any rollup. */
export type AnyRollupOptions = RollupOptions<RollupKeys, RollupMeasures, RollupDerived>;

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

/** @throws ConfigurationError `INVALID_CONFIGURATION` for what is no rollup. */
export function compileRollup(options: AnyRollupOptions): RollupDefinition {
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
  const keys = Object.entries(options.key ?? {}).map(([key, of]) => rollupKey(name, key, of));
  if (keys.length === 0 || keys.length > mostKeys) {
    throw new ConfigurationError(`${what}: key has 1 to ${mostKeys} columns`);
  }
  const shape = options.query === undefined ? measured(what, options, keys) : queried(what, options, keys);
  const derived = Object.entries(options.derived ?? {}).map(([column, { type, sql }]) => {
    assertIdentifier(column, `${what}: derived`);
    assertSqlType(type, `${what}: derived "${column}"`);
    return [column, `(${withoutTail(sql)})::${type}`] as const;
  });
  const tenant = tenantOf(what, options, keys);
  const rollup: Rollup = {
    from: source.table,
    fromSql: tableSql(from),
    keys,
    ...shape,
    derived,
    ...windowOf(what, options, keys),
    setting: tenant.setting,
  };
  const query = shownSql(rollup, `(${rollup.groups})`);
  const references = referencesOf(scanSql(query));
  assertNotHidden(what, options.query === undefined ? [parseQualifiedName(from)] : references);
  assertColumnsOfUser(what, [...keys.map((key) => key.name), ...(shape.stored ?? [])]);
  return {
    name,
    kind: 'rollup',
    layer,
    query,
    references,
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
  const filter = options.where === undefined ? [] : [`(${withoutTail(options.where)})`];
  const columns = keys.map((key) => `t.${quoteIdentifier(key.column)}`);
  const by = keys.map((_, at) => at + 1).join(', ');
  const table = tableSql(options.from);
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

function tableSql(from: string): string {
  const { schema, name } = parseQualifiedName(from);
  return schema === undefined ? quoteIdentifier(name) : quoteQualified({ schema, name });
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
