import type { SqlExecutor } from '@cachekit/core';
import { quoteLiteral, wakeSql } from '@cachekit/core/postgres';
import { type MarkRule, wakeSubject } from '../sql/mark-trigger.ts';
import { isStored, type ViewDefinition } from '../view.ts';
import { type Decisions, decideAll, isRebuilt, type PlanAction, type PlanChoices } from './decide.ts';
import type { ViewDrift } from './drift.ts';
import { wantedEdges } from './edges.ts';
import type { ExistingView } from './existing.ts';
import { indexChanges } from './index-changes.ts';
import { goneTableSql, markingSql, marksCompletely, unmarkedTables, wantedSources } from './marking.ts';
import { rebuildSql } from './rebuild.ts';
import {
  forgetViewSql,
  recordEdgesSql,
  recordSourcesSql,
  recordViewSql,
  rememberPartsSql,
} from './record-sql.ts';
import type { EdgeRecord, Records, SourceRecord, ViewRecord } from './records.ts';
import {
  dropRollupSql,
  logMark,
  markRollupSql,
  programFor,
  recordRollupSql,
  type WantedRollup,
  wantedRollup,
} from './rollups.ts';
import { sameInAnyOrder } from './same-in-any-order.ts';
import { get, lookAt, type Situation } from './situation.ts';
import { readSourceTable, type SourceTable } from './source-table.ts';

/** What applying does to one view, and why. */
export interface PlanEntry {
  readonly view: string;
  readonly action: PlanAction;
  readonly reason?: string;
  /** Relations the view reads whose writes do not mark it; empty for a view without sources, which nothing marks. */
  readonly unmarked: readonly string[];
}

/** A plan with the statements that carry it out. */
export interface Migration {
  readonly entries: readonly PlanEntry[];
  readonly drifts: readonly ViewDrift[];
  /** Each to be run on its own, in this order, in one transaction. */
  readonly statements: readonly string[];
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
  const { views, records, wanted } = situation;
  const tables = await readTables(sql, views);
  const kinds = new Map(views.map((view) => [view.name, view.kind]));
  const rollups = new Map(
    views
      .filter(({ kind }) => kind === 'rollup')
      .map((view) => {
        const record = records.views.find(({ name }) => name === view.name);
        return [
          view.name,
          wantedRollup(schema, view, get(wanted, view.name), tables, kinds, record),
        ] as const;
      }),
  );
  const decisions = await decideAll(sql, situation, rollups, choices);
  const sources: Sources = new Map(
    views.map((view) => [view.name, wantedSources(view, get(wanted, view.name), tables)]),
  );
  const edges = wantedEdges(views, wanted);

  const statements = rebuildSql(situation, decisions, rollups);
  statements.push(...alterSql(situation, decisions, sources, rollups));
  statements.push(...edgesSql(views, records, edges));
  for (const view of views) {
    const now = get(sources, view.name);
    const changed =
      get(decisions.byName, view.name).action !== 'drift' && !sameInAnyOrder(now, sourcesThen(records, view));
    if (changed) statements.push(...recordSourcesSql(view.name, now));
  }
  for (const { name } of decisions.pruned) statements.push(...forgetViewSql(name));
  statements.push(...(await markingStatements(sql, situation, sources, decisions, rollups)));
  statements.push(...firstMarksSql(situation, decisions, sources, edges, rollups));
  for (const { name, rollup } of records.views) {
    const view = views.find((one) => one.name === name);
    const gone =
      view === undefined
        ? decisions.pruned.some((one) => one.name === name)
        : isRebuilt(decisions.byName, view);
    if (gone && rollup !== null) statements.push(...dropRollupSql(name, rollup.version));
  }

  const entries = views.map((view): PlanEntry => {
    const { action, reason } = get(decisions.byName, view.name);
    const unmarked = unmarkedTables(get(wanted, view.name), get(sources, view.name));
    return { view: view.name, action, ...(reason === undefined ? {} : { reason }), unmarked };
  });
  const orphans = decisions.orphans.map((orphan): PlanEntry => {
    const action = decisions.pruned.includes(orphan) ? 'drop' : 'orphan';
    return { view: orphan.name, action, unmarked: [] };
  });
  return { entries: [...entries, ...orphans], drifts: decisions.drifts, statements };
}

/** Why a view is altered that is as it is defined and not marked by every write. */
export const triggersMissing = 'triggers';

type Sources = ReadonlyMap<string, readonly SourceRecord[]>;

async function readTables(
  sql: SqlExecutor,
  views: readonly ViewDefinition[],
): Promise<ReadonlyMap<string, SourceTable>> {
  const tables = new Map<string, SourceTable>();
  for (const name of new Set(views.flatMap((view) => view.sources.map(({ table }) => table)))) {
    const table = await readSourceTable(sql, name);
    if (table !== undefined) tables.set(name, table);
  }
  return tables;
}

function sourcesThen(records: Records, view: ViewDefinition): SourceRecord[] {
  return records.sources.filter((source) => source.view === view.name);
}

/** Indexes of the views whose rows stay, and the records of all that changed. */
function alterSql(
  situation: Situation,
  decisions: Decisions,
  sources: Sources,
  rollups: ReadonlyMap<string, WantedRollup>,
): string[] {
  const { schema, views, records, existing } = situation;
  const statements: string[] = [];
  const recorded: string[] = [];
  for (const view of views) {
    if (isRebuilt(decisions.byName, view)) {
      const rollup = rollups.get(view.name);
      if (rollup !== undefined) {
        recorded.push(...recordRollupSql(schema, view, rollup));
        continue;
      }
      recorded.push(recordViewSql(schema, view, view.kind === 'materialized'));
      continue;
    }
    if (get(decisions.byName, view.name).action === 'drift' || view.kind === 'rollup') continue;
    const current = get(existing, view.name);
    const record = records.views.find(({ name }) => name === view.name);
    const indexes = indexChanges(schema, view, current, record);
    statements.push(...indexes.statements);
    for (const object of indexes.drifted) decisions.drifts.push({ view: view.name, what: 'index', object });
    const changed =
      indexes.statements.length > 0 || record === undefined || settingsDiffer(view, record, current);
    if (changed) recorded.push(recordViewSql(schema, view, false));
    if (changed || !sameInAnyOrder(get(sources, view.name), sourcesThen(records, view))) {
      const reason = changed ? 'indexes or settings' : 'sources';
      decisions.byName.set(view.name, { action: 'alter', reason });
    }
  }
  return [...statements, ...recorded];
}

function edgesSql(
  views: readonly ViewDefinition[],
  records: Records,
  edges: readonly EdgeRecord[],
): string[] {
  const names = views.map(({ name }) => name);
  const then = records.edges.filter(({ child }) => names.includes(child));
  return sameInAnyOrder(edges, then) ? [] : recordEdgesSql(names, edges);
}

/**
 * Views that begin to be marked are marked once: what was written between their snapshot and the triggers is in the
 * refresh that follows.
 */
function firstMarksSql(
  { views, records }: Situation,
  decisions: Decisions,
  sources: Sources,
  edges: readonly EdgeRecord[],
  rollups: ReadonlyMap<string, WantedRollup>,
): string[] {
  const begins = views.filter((view) => {
    if (!isStored(view.kind)) return false;
    const now = get(sources, view.name);
    if (get(decisions.byName, view.name).action === 'drift') return false;
    if (now.length === 0 && !edges.some(({ child }) => child === view.name)) return false;
    return isRebuilt(decisions.byName, view) || !sameInAnyOrder(now, sourcesThen(records, view));
  });
  if (begins.length === 0) return [];
  const marks = begins.map(({ name }) => {
    const rollup = rollups.get(name);
    // One whose sources change is rebuilt, so it was filled in this transaction.
    return rollup === undefined
      ? `INSERT INTO cachekit.mark (view, source, everything) VALUES (${quoteLiteral(name)}, 'apply', true)`
      : markRollupSql(rollup);
  });
  return [...marks, wakeSql(wakeSubject, 'select')];
}

/** Views of other catalogs over the same tables go on being marked; tables that mark nothing any more lose the triggers. */
async function markingStatements(
  sql: SqlExecutor,
  { records, views }: Situation,
  sources: Sources,
  { byName, pruned, drifts }: Decisions,
  rollups: ReadonlyMap<string, WantedRollup>,
): Promise<string[]> {
  const ours = new Set([...sources.keys(), ...pruned.map(({ name }) => name)]);
  const then = records.sources.filter(({ view }) => ours.has(view));
  const now = [...sources.values()].flat();
  const rules = [...now, ...records.sources.filter(({ view }) => !ours.has(view))].map(
    (source): SourceRecord & MarkRule => {
      const definition = views.find(({ name }) => name === source.view);
      const record = records.views.find(({ name }) => name === source.view);
      const wanted = rollups.get(source.view);
      const rebuilt = definition !== undefined && isRebuilt(byName, definition);
      const program = rebuilt ? wanted && programFor(wanted) : record?.rollup?.program;
      return program === undefined ? source : { ...source, rollup: logMark(program, source) };
    },
  );
  const statements: string[] = [];
  for (const name of [...new Set([...now, ...then].map(({ source }) => source))].sort()) {
    const table = await readSourceTable(sql, name);
    if (table === undefined) {
      statements.push(...goneTableSql(name));
      continue;
    }
    if (!marksCompletely(table)) {
      for (const { view, source } of then) {
        if (source !== name) continue;
        drifts.push({ view, what: 'trigger', object: name });
        if (byName.get(view)?.action === 'unchanged')
          byName.set(view, { action: 'alter', reason: triggersMissing });
      }
    }
    const marking = rules.filter(({ source }) => source === name);
    statements.push(
      ...markingSql(
        table,
        marking.sort((a, b) => (a.view < b.view ? -1 : 1)),
      ),
    );
    if (!marksCompletely(table)) {
      // What was written without a trigger is in the refresh that follows.
      for (const { view, rollup } of marking) {
        if (!then.some((one) => one.view === view)) continue;
        statements.push(
          rollup === undefined
            ? `INSERT INTO cachekit.mark (view, source, everything) VALUES (${quoteLiteral(view)}, 'apply', true)`
            : `INSERT INTO ${rollup.log} (view, source, everything, wild) VALUES (${quoteLiteral(view)}, 'apply', true, ${rollup.mask})`,
        );
      }
      statements.push(rememberPartsSql(name));
    }
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
