import { ConfigurationError, type SqlExecutor } from '@cachekit/core';
import { assertLayers, inOrder, namedUses } from '../order.ts';
import { liveName } from '../rollup/compiled-rollup.ts';
import type { ViewDefinition } from '../view.ts';
import { type ExistingView, readExisting } from './existing.ts';
import { type Records, readRecords } from './records.ts';
import { readWanted, type WantedView } from './wanted.ts';

/** Everything the decisions are made from. */
export interface Situation {
  readonly schema: string;
  /** Each after all it uses. */
  readonly views: readonly ViewDefinition[];
  readonly records: Records;
  readonly existing: ReadonlyMap<string, ExistingView>;
  readonly wanted: ReadonlyMap<string, WantedView>;
}

/** Reads what is wanted, what was applied and what is there. */
export async function lookAt(
  sql: SqlExecutor,
  schema: string,
  definitions: readonly ViewDefinition[],
): Promise<Situation> {
  const byName = new Map(definitions.map((view) => [view.name, view]));
  const records = await readRecords(sql);
  for (const record of records.views) {
    if (byName.has(record.name) && record.schema !== schema) {
      throw new ConfigurationError(`View "${record.name}" is applied in schema "${record.schema}" already`);
    }
  }
  const names = new Set([
    ...byName.keys(),
    ...records.views.filter((r) => r.schema === schema).map((r) => r.name),
  ]);
  const rollups = [...definitions, ...records.views.filter((r) => r.schema === schema)];
  for (const { name, kind } of rollups) if (kind === 'rollup') names.add(liveName(name));
  const found = await readExisting(sql, schema, [...names]);
  for (const { name, kind } of found) {
    if (kind === 'v' || kind === 'm') continue;
    throw new ConfigurationError(
      `View "${name}": there is something else of that name in schema "${schema}"`,
    );
  }
  const named = namedUses(schema, definitions);
  const order = (uses: (name: string) => readonly string[]): ViewDefinition[] =>
    inOrder([...byName.keys()], uses).map((name) => get(byName, name));
  const wanted = await readWanted(
    sql,
    schema,
    order((name) => named.get(name) ?? []),
    new Map(found.filter(({ name }) => byName.has(name)).map(({ oid, name }) => [oid, name])),
  );
  assertLayers(byName, new Map([...wanted].map(([name, view]) => [name, view.uses])));
  return {
    schema,
    views: order((name) => wanted.get(name)?.uses ?? []),
    records,
    existing: new Map(found.map((view) => [view.name, view])),
    wanted,
  };
}

/** The entry of a name that is known to be there. */
export function get<Value>(map: ReadonlyMap<string, Value>, name: string): Value {
  const value = map.get(name);
  if (value === undefined) throw new ConfigurationError(`View "${name}" is not in the catalog`);
  return value;
}
