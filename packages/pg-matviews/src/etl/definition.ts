import { assertKnownOptions, ConfigurationError, type Duration, durationMs } from '@cachekit/core';
import { parseQualifiedName, quoteQualified } from '@cachekit/core/postgres';
import { assertIdentifier, fittingIdentifier, fnv1a } from '../identifier.ts';

/** How changed rows of a remote table are found, and which rows of the copy they change. */
export interface EtlSource {
  /**
   * `{ column }`: rows whose column is not older than the oldest transaction that the last run could not see. `'xmin'`:
   * rows written by a transaction that the last run may not have seen, whatever their columns say; it reads the table.
   * `'slot'`: what a logical replication slot tells, deletes and moves too; it reads what was written.
   */
  readonly changed: 'xmin' | 'slot' | { readonly column: string; readonly timeZone?: string };
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
  /**
   * The name of the slot and of the publication of sources with `changed: 'slot'`, in the remote database: this copy's
   * alone, in its whole server.
   *
   * @defaultValue `cachekit_` and the name of the copy
   */
  readonly slot?: string;
}

/** A source that was found right, with its names quoted. */
export interface CheckedSource {
  readonly name: string;
  readonly table: string;
  readonly column: string | undefined;
  /** Its changes are read from the slot. */
  readonly slot: boolean;
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
  /** Absent: no source is read from a slot. */
  readonly slot: string | undefined;
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
    slot: slotName(what, definition, sources),
    digest: fnv1a(JSON.stringify([from, to, definition.key])),
  };
}

function slotName(
  what: string,
  { name, slot }: EtlDefinition,
  sources: readonly CheckedSource[],
): string | undefined {
  if (!sources.some((source) => source.slot)) {
    if (slot !== undefined) throw new ConfigurationError(`${what}: no source says changed: "slot"`);
    return undefined;
  }
  const given = slot ?? fittingIdentifier(`cachekit_${name.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_')}`);
  if (typeof given === 'string' && /^[a-z0-9_]{1,63}$/.test(given)) return given;
  throw new ConfigurationError(`${what}: slot is a name of at most 63 of the characters a-z, 0-9 and _`);
}

function checkedSource(etl: string, name: string, source: EtlSource): CheckedSource {
  const what = `${etl}: source "${name}"`;
  if (typeof source !== 'object' || source === null) throw new ConfigurationError(`${what}: give an object`);
  assertKnownOptions(what, source, ['changed', 'key', 'through']);
  const { changed, key, through } = source;
  const dated = typeof changed === 'object' ? changed : undefined;
  if (changed !== 'xmin' && changed !== 'slot' && typeof dated?.column !== 'string') {
    throw new ConfigurationError(`${what}: changed is "xmin", "slot" or { column }`);
  }
  if ((key === undefined) === (through === undefined)) {
    throw new ConfigurationError(`${what}: give one of key and through`);
  }
  if (key !== undefined) assertIdentifier(key, `${what} key`);
  if (dated !== undefined) {
    assertKnownOptions(`${what} changed`, dated, ['column', 'timeZone']);
    assertIdentifier(dated.column, `${what} changed`);
  }
  if (through !== undefined) {
    assertKnownOptions(`${what} through`, through, ['table', 'match', 'key', 'id']);
    for (const part of ['match', 'key'] as const) assertIdentifier(through[part], `${what} ${part}`);
  }
  return {
    name,
    table: relation(what, name),
    column: dated?.column,
    slot: changed === 'slot',
    timeZone: dated?.timeZone ?? 'UTC',
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
