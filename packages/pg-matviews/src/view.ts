import { assertKnownOptions, ConfigurationError } from '@cachekit/core';
import { MissingUniqueIndexError } from './errors.ts';
import { assertIdentifier } from './identifier.ts';
import type { Rollup } from './rollup/compiled-rollup.ts';
import { type QueryReference, referencesOf } from './sql/references.ts';
import { scanSql } from './sql/scan.ts';
import { servesConcurrently, type ViewIndex, type ViewIndexOptions, viewIndex } from './view-index.ts';
import { type Compilable, viewQuery } from './view-query.ts';
import { type ViewSource, type ViewSourceOptions, viewSource } from './view-source.ts';

/**
 * A plain view is computed at every read; a materialized one is stored and refreshed as a whole; of a rollup only the
 * groups that changed are computed again.
 */
export type ViewKind = 'view' | 'materialized' | 'rollup';

/** Whether views of that kind hold rows that are refreshed. */
export function isStored(kind: ViewKind | undefined): boolean {
  return kind === 'materialized' || kind === 'rollup';
}

/**
 * How a materialized view is refreshed.
 *
 * | mode           | while it runs, readers            | needs a unique index |
 * | -------------- | --------------------------------- | -------------------- |
 * | `auto`         | go on if a unique index qualifies | no                   |
 * | `concurrently` | go on                             | yes                  |
 * | `plain`        | wait                              | no                   |
 *
 * The first refresh of a view that was never filled is always plain.
 */
export type RefreshMode = 'auto' | 'concurrently' | 'plain';

/** What a view is. */
export interface ViewOptions<Name extends string = string, Row = unknown> {
  /** Its name in the database, taken literally; one of its kind per database. */
  readonly name: Name;
  readonly kind: 'view' | 'materialized';
  /** A view may use views of lower layers only; views without a layer are not checked. */
  readonly layer?: number;
  /** The SELECT: SQL, or a query builder's query. Unqualified names are found in the schema of the views, then in `public`. */
  readonly query: string | Compilable<Row>;
  /** Materialized views only. */
  readonly indexes?: readonly ViewIndexOptions[];
  /** The column of the view that says whose row it is. A plain view that has one is told of when a view it reads is refreshed. */
  readonly tenant?: string;
  /** Tables whose writes mark a materialized view for refresh. Views it uses mark it by themselves. */
  readonly sources?: Readonly<Record<string, ViewSourceOptions>>;
  /** @defaultValue `auto` */
  readonly refresh?: RefreshMode;
}

/** A view that {@link defineView} or `defineRollup` found right. */
export interface ViewDefinition<Name extends string = string, Row = unknown> {
  readonly name: Name;
  readonly kind: ViewKind;
  readonly layer: number | undefined;
  /** One SELECT without placeholders. */
  readonly query: string;
  /** Names in the query that may be relations. */
  readonly references: readonly QueryReference[];
  readonly indexes: readonly ViewIndex[];
  readonly tenant: string | undefined;
  readonly sources: readonly ViewSource[];
  readonly refresh: RefreshMode;
  /** What only a rollup has. */
  readonly rollup?: Rollup;
  /** Only for types: what a row of the view is. */
  readonly row?: Row;
}

const known = ['name', 'kind', 'layer', 'query', 'indexes', 'tenant', 'sources', 'refresh'];

/**
 * Describes a view; nothing touches the database before `createViews(...).apply()`.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an unknown option, a name that PostgreSQL would cut, a query
 * that is not one SELECT, or options that a plain view cannot have.
 * @throws MissingUniqueIndexError `MISSING_UNIQUE_INDEX` if `refresh` is `concurrently` and no index of the definition
 * allows that.
 * @example
 * const callsPerDay = defineView({
 *   name: 'mv_calls_per_day',
 *   kind: 'materialized',
 *   query: `select user_id, date_trunc('day', start_time, 'UTC') as day, count(*) as total
 *           from calls group by 1, 2`,
 *   indexes: [{ columns: ['user_id', 'day'], unique: true }],
 *   tenant: 'user_id',
 *   sources: { calls: { tenant: 'user_id' } },
 * });
 */
export function defineView<const Name extends string, Row = Record<string, unknown>>(
  options: ViewOptions<Name, Row>,
): ViewDefinition<Name, Row> {
  assertKnownOptions('defineView', options, known);
  const { name, kind, layer, tenant } = options;
  assertIdentifier(name, 'defineView: name');
  if (kind !== 'view' && kind !== 'materialized') {
    throw new ConfigurationError(
      `defineView "${name}": kind is "view" or "materialized", not ${JSON.stringify(kind)}`,
    );
  }
  if (layer !== undefined && !(Number.isInteger(layer) && layer >= 0)) {
    throw new ConfigurationError(`defineView "${name}": layer is an integer >= 0`);
  }
  if (tenant !== undefined) assertIdentifier(tenant, `defineView "${name}": tenant`);
  if (kind === 'view') refuseForPlainView(options);
  const query = viewQuery(name, options.query);
  const indexes = (options.indexes ?? []).map((index) => viewIndex(name, index));
  refuseTwice(name, indexes);
  const refresh = options.refresh ?? 'auto';
  if (!['auto', 'concurrently', 'plain'].includes(refresh)) {
    throw new ConfigurationError(`defineView "${name}": refresh is "auto", "concurrently" or "plain"`);
  }
  if (refresh === 'concurrently' && !indexes.some(servesConcurrently)) {
    throw new MissingUniqueIndexError(name, wantedIndex(tenant));
  }
  return {
    name,
    kind,
    layer,
    query,
    references: referencesOf(scanSql(query)),
    indexes,
    tenant,
    sources: Object.entries(options.sources ?? {}).map(([table, source]) =>
      viewSource(name, tenant, table, source),
    ),
    refresh,
  };
}

/** The index to propose when one is missing: nobody but the author knows the key. */
export function wantedIndex(tenant: string | undefined): string {
  return `{ columns: [${tenant === undefined ? '' : `'${tenant}', `}...the key], unique: true }`;
}

function refuseForPlainView(options: ViewOptions): void {
  for (const name of ['indexes', 'sources', 'refresh'] as const) {
    if (options[name] !== undefined) {
      throw new ConfigurationError(
        `defineView "${options.name}": a plain view is computed at every read and takes no ${name}`,
      );
    }
  }
}

function refuseTwice(view: string, indexes: readonly ViewIndex[]): void {
  const names = new Set<string>();
  for (const { name } of indexes) {
    if (names.has(name))
      throw new ConfigurationError(`defineView "${view}": two indexes are named "${name}"`);
    names.add(name);
  }
}
