import { assertKnownOptions, ConfigurationError } from '@cachekit/core';
import { MissingUniqueIndexError } from './errors.ts';
import { assertIdentifier } from './identifier.ts';
import { type QueryReference, referencesOf } from './sql/references.ts';
import { scanSql } from './sql/scan.ts';
import { servesConcurrently, type ViewIndex, type ViewIndexOptions, viewIndex } from './view-index.ts';
import { type Compilable, viewQuery } from './view-query.ts';
import { type ViewSource, type ViewSourceOptions, viewSource } from './view-source.ts';

/** A plain view is computed at every read; a materialized one is stored and refreshed. */
export type ViewKind = 'view' | 'materialized';

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
export interface ViewOptions {
  /** Its name in the database, taken literally; one of its kind per database. */
  readonly name: string;
  readonly kind: ViewKind;
  /** A view may use views of lower layers only; views without a layer are not checked. */
  readonly layer?: number;
  /** The SELECT: SQL, or a query builder's query. Unqualified names are found in the schema of the views, then in `public`. */
  readonly query: string | Compilable;
  /** Materialized views only. */
  readonly indexes?: readonly ViewIndexOptions[];
  /** The column of the view that says whose row it is. */
  readonly tenant?: string;
  /** Tables whose writes mark a materialized view for refresh. Views it uses mark it by themselves. */
  readonly sources?: Readonly<Record<string, ViewSourceOptions>>;
  /** @defaultValue `auto` */
  readonly refresh?: RefreshMode;
}

/** A view that {@link defineView} found right. */
export interface ViewDefinition {
  readonly name: string;
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
export function defineView(options: ViewOptions): ViewDefinition {
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
