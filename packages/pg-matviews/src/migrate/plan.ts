import { ConfigurationError, type SqlExecutor } from '@cachekit/core';
import { quoteIdentifier, quoteLiteral, wakeSql } from '@cachekit/core/postgres';
import { assertLayers, inOrder, namedUses } from '../order.ts';
import { wakeSubject } from '../sql/mark-trigger.ts';
import { relationSql } from '../sql/relation.ts';
import type { ViewDefinition } from '../view.ts';
import { createIndexSql } from '../view-index.ts';
import type { ViewDrift } from './drift.ts';
import { type ExistingView, readDependants, readExisting } from './existing.ts';
import { indexChanges } from './index-changes.ts';
import { markingSql, marksCompletely, unmarkedTables, wantedSources } from './marking.ts';
import { forgetViewSql, recordEdgesSql, recordSourcesSql, recordViewSql } from './record-sql.ts';
import { type EdgeRecord, type Records, readRecords, type SourceRecord, type ViewRecord } from './records.ts';
import { optionsSql, recreateSql, restoreSql } from './restore.ts';
import { readSourceTables } from './source-tables.ts';
import { readWanted, type WantedView } from './wanted.ts';

/**
 * What applying does to a view.
 *
 * | action      | means                                                                            |
 * | ----------- | -------------------------------------------------------------------------------- |
 * | `create`    | it is not there                                                                  |
 * | `replace`   | it, or a view it uses, means something else now: dropped and created anew         |
 * | `alter`     | indexes, marks or settings change; its rows stay                                 |
 * | `unchanged` | nothing                                                                          |
 * | `drift`     | somebody changed it by hand; apply refuses unless told to replace                |
 * | `drop`      | it was applied once and is defined no more; dropped only with `prune`            |
 */
export type PlanAction = 'create' | 'replace' | 'alter' | 'unchanged' | 'drift' | 'drop';

/** What applying does to one view, and why. */
export interface PlanEntry {
  readonly view: string;
  readonly action: PlanAction;
  readonly reason?: string;
  /** Relations the view reads whose writes do not mark it; empty for a view without sources, which nothing marks. */
  readonly unmarked: readonly string[];
}

/** How a plan deals with what it finds. */
export interface PlanChoices {
  /** What somebody changed by hand is put back. */
  readonly replaceDrifted: boolean;
  /** Views that are defined no more are dropped. */
  readonly prune: boolean;
}

/** A plan with the statements that carry it out. */
export interface Migration {
  readonly entries: readonly PlanEntry[];
  readonly drifts: readonly ViewDrift[];
  /** Each to be run on its own, in this order, in one transaction. */
  readonly statements: readonly string[];
}

/** Everything the decisions are made from. */
interface Situation {
  readonly schema: string;
  /** Each after all it uses. */
  readonly views: readonly ViewDefinition[];
  readonly records: Records;
  readonly existing: ReadonlyMap<string, ExistingView>;
  readonly wanted: ReadonlyMap<string, WantedView>;
}

interface Decision {
  readonly action: PlanAction;
  readonly reason?: string;
}

/**
 * Compares the catalog with the database and says what is to be done.
 *
 * Runs inside a transaction whose session was prepared; writes nothing (temporary views come and go with a
 * savepoint) and locks nothing that readers or writers wait for.
 */
export async function planMigration(
  sql: SqlExecutor,
  schema: string,
  definitions: readonly ViewDefinition[],
  choices: PlanChoices,
): Promise<Migration> {
  const situation = await lookAt(sql, schema, definitions);
  const { views, records, existing, wanted } = situation;
  const drifts: ViewDrift[] = [];
  const decisions = new Map(
    views.map((view) => [view.name, decide(view, situation, choices, drifts)] as const),
  );

  const orphans = records.views.filter(
    (record) => record.schema === schema && !views.some(({ name }) => name === record.name),
  );
  const pruned = choices.prune ? orphans : [];
  const rebuilt = views.filter(({ name }) =>
    ['create', 'replace'].includes(decisions.get(name)?.action ?? ''),
  );
  const gone = [...rebuilt.map(({ name }) => name), ...pruned.map(({ name }) => name)].flatMap(
    (name) => existing.get(name) ?? [],
  );
  const dependants = await readDependants(
    sql,
    gone.map(({ oid }) => oid),
  );
  const strangers: ExistingView[] = [];
  for (const dependant of dependants) {
    const decision = dependant.schema === schema ? decisions.get(dependant.name) : undefined;
    if (decision === undefined) strangers.push(dependant);
    else if (decision.action !== 'drift') {
      decisions.set(dependant.name, { action: 'replace', reason: 'a view it uses is replaced' });
    }
  }

  const tables = await readSourceTables(sql, [
    ...new Set(views.flatMap((view) => view.sources.map((s) => s.table))),
  ]);
  const sources = new Map(
    views.map((view) => [view.name, wantedSources(view, get(wanted, view.name), tables)] as const),
  );
  const edges = wantedEdges(views, wanted);

  const statements: string[] = [];
  statements.push(...rebuildSql(situation, decisions, strangers, pruned));
  const recorded = views.filter((view) => {
    const decision = get(decisions, view.name);
    if (decision.action === 'create' || decision.action === 'replace') return true;
    if (decision.action === 'drift') return false;
    const record = records.views.find(({ name }) => name === view.name);
    const indexes = indexChanges(schema, view, get(existing, view.name), record);
    statements.push(...indexes.statements);
    drifts.push(...indexes.drifted.map((object) => ({ view: view.name, what: 'index', object }) as const));
    const changed =
      indexes.statements.length > 0 ||
      record === undefined ||
      settingsDiffer(view, record, get(existing, view.name));
    const marksChanged = !same(
      sources.get(view.name),
      records.sources.filter((s) => s.view === view.name),
    );
    if (changed || marksChanged) {
      decisions.set(view.name, { action: 'alter', reason: changed ? 'indexes or settings' : 'sources' });
    }
    return changed;
  });
  const filled = new Set(rebuilt.concat(views.filter((v) => get(decisions, v.name).action === 'replace')));
  statements.push(
    ...recorded.map((view) => recordViewSql(schema, view, filled.has(view) && view.kind === 'materialized')),
  );
  const names = views.map(({ name }) => name);
  if (
    !same(
      edges,
      records.edges.filter(({ child }) => names.includes(child)),
    )
  ) {
    statements.push(...recordEdgesSql(names, edges));
  }
  const toMark: string[] = [];
  for (const view of views) {
    const { action } = get(decisions, view.name);
    if (action === 'drift') continue;
    const before = records.sources.filter((source) => source.view === view.name);
    const now = get(sources, view.name);
    if (!same(now, before)) statements.push(...recordSourcesSql(view.name, now));
    const marked = now.length > 0 || edges.some(({ child }) => child === view.name);
    if (marked && (action === 'create' || action === 'replace' || !same(now, before))) toMark.push(view.name);
  }
  for (const { name } of pruned) statements.push(...forgetViewSql(name));
  statements.push(...(await markingStatements(sql, records, sources, pruned, drifts)));
  if (toMark.length > 0) {
    statements.push(
      `INSERT INTO cachekit.mark (view, source, everything) VALUES ${toMark.map((view) => `(${quoteLiteral(view)}, 'apply', true)`).join(', ')}`,
      wakeSql(wakeSubject, 'select'),
    );
  }

  const entries = views.map((view): PlanEntry => {
    const { action, reason } = get(decisions, view.name);
    const unmarked = unmarkedTables(get(wanted, view.name), get(sources, view.name));
    return { view: view.name, action, ...(reason === undefined ? {} : { reason }), unmarked };
  });
  const drops = orphans.map(({ name }): PlanEntry => ({ view: name, action: 'drop', unmarked: [] }));
  return { entries: [...entries, ...drops], drifts, statements };
}

async function lookAt(
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

function decide(
  view: ViewDefinition,
  situation: Situation,
  choices: PlanChoices,
  drifts: ViewDrift[],
): Decision {
  const current = situation.existing.get(view.name);
  const record = situation.records.views.find(({ name }) => name === view.name);
  const drifted = (what: ViewDrift['what'], reason: string): Decision => {
    drifts.push({ view: view.name, what });
    return { action: choices.replaceDrifted ? 'replace' : 'drift', reason };
  };
  if (current === undefined) {
    if (record === undefined) return { action: 'create' };
    drifts.push({ view: view.name, what: 'missing' });
    return { action: 'create', reason: 'it is gone from the database' };
  }
  const kind = view.kind === 'view' ? 'v' : 'm';
  const definition = get(situation.wanted, view.name).definition;
  if (current.kind === kind && current.definition === definition) return { action: 'unchanged' };
  if (record === undefined) return drifted('unknown', 'a different view of that name was never applied');
  const kindThen = record.kind === 'view' ? 'v' : 'm';
  if (current.kind !== kindThen || (record.sameServer && current.definition !== record.definition)) {
    return drifted('definition', 'it was changed in the database');
  }
  return { action: 'replace', reason: current.kind === kind ? 'its definition changed' : 'its kind changed' };
}

/** Drops what is to be created anew from the top, and creates it from the bottom, all that it had included. */
function rebuildSql(
  situation: Situation,
  decisions: ReadonlyMap<string, Decision>,
  strangers: readonly ExistingView[],
  pruned: readonly ViewRecord[],
): string[] {
  const { schema, views, existing, wanted } = situation;
  const rebuilt = views.filter(({ name }) =>
    ['create', 'replace'].includes(decisions.get(name)?.action ?? ''),
  );
  const prunedNames = new Set(pruned.map(({ name }) => name));
  const kept = strangers.filter((view) => !(view.schema === schema && prunedNames.has(view.name)));
  const dropped = [
    ...rebuilt.flatMap(({ name }) => existing.get(name) ?? []),
    ...pruned.flatMap(({ name }) => existing.get(name) ?? []),
    ...kept,
  ];
  const byOid = new Map(dropped.map((view) => [view.oid, view]));
  const downwards = inOrder(dropped, (view) => view.uses.flatMap((oid) => byOid.get(oid) ?? [])).reverse();
  const drops = downwards.map(
    ({ kind, schema: of, name }) =>
      `DROP ${kind === 'm' ? 'MATERIALIZED VIEW' : 'VIEW'} ${relationSql(of, name)}`,
  );

  const declared = new Map(rebuilt.map((view) => [view.name, view]));
  const strange = new Map(kept.map((view) => [view.oid, view]));
  const upwards = inOrder<ViewDefinition | ExistingView>([...rebuilt, ...kept], (node) => {
    if ('oid' in node) {
      return node.uses.flatMap((oid) => strange.get(oid) ?? declared.get(byOid.get(oid)?.name ?? '') ?? []);
    }
    const { uses, through } = get(wanted, node.name);
    return [
      ...uses.flatMap((name) => declared.get(name) ?? []),
      ...through.flatMap((oid) => strange.get(oid) ?? []),
    ];
  });
  const creates = upwards.flatMap((node) =>
    'oid' in node
      ? [...recreateSql(node), ...restoreSql(node, undefined)]
      : createSql(schema, node, existing.get(node.name), get(wanted, node.name).columns),
  );
  const needsSchema = schema !== 'public' && creates.length > 0;
  return [
    ...(needsSchema ? [`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`] : []),
    ...drops,
    ...creates,
  ];
}

function createSql(
  schema: string,
  view: ViewDefinition,
  before: ExistingView | undefined,
  columns: readonly string[],
): string[] {
  const name = relationSql(schema, view.name);
  const sameKind = before !== undefined && (before.kind === 'm') === (view.kind === 'materialized');
  const options = optionsSql(sameKind ? before : undefined);
  const ours = new Set(view.indexes.map((index) => index.name));
  const others = (view.kind === 'materialized' ? (before?.indexes ?? []) : []).filter(
    (index) => !ours.has(index.name) && index.columns.every((column) => columns.includes(column)),
  );
  const restored =
    before === undefined
      ? []
      : restoreSql(
          {
            ...before,
            kind: view.kind === 'materialized' ? 'm' : 'v',
            indexes: before.indexes.filter(
              ({ name }) => ours.has(name) || others.some((o) => o.name === name),
            ),
          },
          columns,
        );
  return [
    `CREATE ${view.kind === 'materialized' ? 'MATERIALIZED VIEW' : 'VIEW'} ${name}${options} AS ${view.query}`,
    ...view.indexes.map((index) => createIndexSql(schema, view.name, index)),
    ...others.map((index) => index.definition),
    ...restored,
  ];
}

function wantedEdges(
  views: readonly ViewDefinition[],
  wanted: ReadonlyMap<string, WantedView>,
): EdgeRecord[] {
  const kinds = new Map(views.map((view) => [view.name, view.kind]));
  const parentsOf = (name: string): string[] =>
    get(wanted, name).uses.flatMap((used) => (kinds.get(used) === 'materialized' ? [used] : parentsOf(used)));
  return views
    .filter((view) => view.kind === 'materialized')
    .flatMap(({ name }) => [...new Set(parentsOf(name))].map((parent) => ({ parent, child: name })))
    .sort((a, b) => (`${a.parent}\0${a.child}` < `${b.parent}\0${b.child}` ? -1 : 1));
}

/** Views of other catalogs over the same tables go on being marked; tables that mark nothing any more lose the triggers. */
async function markingStatements(
  sql: SqlExecutor,
  records: Records,
  sources: ReadonlyMap<string, readonly SourceRecord[]>,
  pruned: readonly ViewRecord[],
  drifts: ViewDrift[],
): Promise<string[]> {
  const out = new Set(pruned.map(({ name }) => name));
  const others = records.sources.filter(({ view }) => !sources.has(view) && !out.has(view));
  const rules = [...[...sources.values()].flat(), ...others];
  const names = [...new Set([...rules, ...records.sources].map(({ source }) => source))].sort();
  const statements: string[] = [];
  for (const name of names) {
    const table = (await readSourceTables(sql, [name])).get(name);
    if (table === undefined) continue;
    if (!marksCompletely(table)) {
      for (const { view } of records.sources.filter(({ source }) => source === name)) {
        drifts.push({ view, what: 'trigger', object: name });
      }
    }
    statements.push(
      ...markingSql(
        table,
        rules.filter(({ source }) => source === name).sort((a, b) => (a.view < b.view ? -1 : 1)),
      ),
    );
  }
  return statements;
}

function settingsDiffer(view: ViewDefinition, record: ViewRecord, current: ExistingView): boolean {
  return (
    record.tenant !== (view.tenant ?? null) ||
    record.refresh !== view.refresh ||
    record.kind !== view.kind ||
    !record.sameServer ||
    record.definition !== current.definition
  );
}

function same(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b);
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

/** The entry of a name that is known to be there. */
function get<Value>(map: ReadonlyMap<string, Value>, name: string): Value {
  const value = map.get(name);
  if (value === undefined) throw new ConfigurationError(`View "${name}" is not in the catalog`);
  return value;
}
