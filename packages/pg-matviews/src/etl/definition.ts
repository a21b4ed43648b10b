import { assertKnownOptions, ConfigurationError, type Duration, durationMs } from '@cachekit/core';
import { parseQualifiedName, quoteQualified } from '@cachekit/core/postgres';
import { assertIdentifier, fnv1a } from '../identifier.ts';

/** How changed rows of a remote table are found, and which rows of the copy they change. */
export interface EtlSource {
  /**
   * `{ column }`: rows whose column is not older than the oldest transaction that the last run could not see. `'xmin'`:
   * rows written by a transaction that the last run may not have seen, whatever their columns say; it reads the table.
   */
  readonly changed: 'xmin' | { readonly column: string; readonly timeZone?: string };
  /** The table's own column that holds the key of the copy. One of `key` and `through`. */
  readonly key?: string;
  /** Another table leads from a row to the keys: those of its rows whose `match` is this table's `id`. */
  readonly through?: {
    readonly table: string;
    readonly match: string;
    readonly key: string;
    readonly id?: string;
  };
}

/** What is copied, from where to where. */
export interface EtlDefinition {
  /** Its name in the local database. */
  readonly name: string;
  /** The remote view or table that the rows are read from, `name` or `schema.name`. */
  readonly from: string;
  /** The local table; `install()` creates it if it is not there. It may have more columns and indexes. */
  readonly to: string;
  /** The column that both have and that no two rows share. */
  readonly key: string;
  /** Every remote table that `from` reads. */
  readonly sources: Readonly<Record<string, EtlSource>>;
  /**
   * How much earlier than its transaction a row may be dated: what the clocks of the writers differ by.
   *
   * @defaultValue `5s`
   */
  readonly skew?: Duration;
  /**
   * How far back every run looks where the transactions of others cannot be seen.
   *
   * @defaultValue `10m`
   */
  readonly overlap?: Duration;
}

/** A source that was found right, with its names quoted. */
export interface CheckedSource {
  readonly name: string;
  readonly table: string;
  readonly column: string | undefined;
  readonly timeZone: string;
  readonly key: string | undefined;
  readonly through: { table: string; match: string; key: string; id: string } | undefined;
}

/** A definition that was found right. */
export interface CheckedEtl {
  readonly name: string;
  /** Quoted. */
  readonly from: string;
  /** Quoted. */
  readonly to: string;
  readonly key: string;
  readonly sources: readonly CheckedSource[];
  readonly skewMs: number;
  readonly overlapMs: number;
  /** Differs when what was copied so far says nothing about what is to be copied. */
  readonly digest: string;
}

/** @throws ConfigurationError `INVALID_CONFIGURATION` */
export function checkedEtl(definition: EtlDefinition): CheckedEtl {
  const what = `createEtl "${definition.name}"`;
  assertIdentifier(definition.name, 'createEtl: name');
  assertIdentifier(definition.key, `${what}: key`);
  const sources = Object.entries(definition.sources ?? {}).map(([name, source]) =>
    checkedSource(what, name, source),
  );
  if (sources.length === 0) throw new ConfigurationError(`${what}: name the tables that "from" reads`);
  const from = relation(what, definition.from);
  const to = relation(what, definition.to);
  return {
    name: definition.name,
    from,
    to,
    key: definition.key,
    sources,
    skewMs: durationMs(definition.skew ?? '5s', 'skew'),
    overlapMs: durationMs(definition.overlap ?? '10m', 'overlap'),
    digest: fnv1a(JSON.stringify([from, to, definition.key])),
  };
}

function checkedSource(etl: string, name: string, source: EtlSource): CheckedSource {
  const what = `${etl}: source "${name}"`;
  if (typeof source !== 'object' || source === null) throw new ConfigurationError(`${what}: give an object`);
  assertKnownOptions(what, source, ['changed', 'key', 'through']);
  const { changed, key, through } = source;
  if (changed !== 'xmin' && typeof changed?.column !== 'string') {
    throw new ConfigurationError(`${what}: changed is "xmin" or { column }`);
  }
  if ((key === undefined) === (through === undefined)) {
    throw new ConfigurationError(`${what}: give one of key and through`);
  }
  if (key !== undefined) assertIdentifier(key, `${what} key`);
  const column = changed === 'xmin' ? undefined : changed.column;
  if (changed !== 'xmin') {
    assertKnownOptions(`${what} changed`, changed, ['column', 'timeZone']);
    assertIdentifier(changed.column, `${what} changed`);
  }
  if (through !== undefined) {
    assertKnownOptions(`${what} through`, through, ['table', 'match', 'key', 'id']);
    for (const part of ['match', 'key'] as const) assertIdentifier(through[part], `${what} ${part}`);
  }
  return {
    name,
    table: relation(what, name),
    column,
    timeZone: changed === 'xmin' ? 'UTC' : (changed.timeZone ?? 'UTC'),
    key,
    through: through && {
      table: relation(what, through.table),
      match: through.match,
      key: through.key,
      id: through.id ?? 'id',
    },
  };
}

function relation(what: string, name: string): string {
  try {
    return quoteQualified(parseQualifiedName(name));
  } catch {
    throw new ConfigurationError(`${what}: ${JSON.stringify(name)} is no name; give table or schema.table`);
  }
}
