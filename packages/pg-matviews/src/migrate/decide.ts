import type { SqlExecutor } from '@cachekit/core';
import { liveName } from '../rollup/compiled-rollup.ts';
import type { ViewDefinition } from '../view.ts';
import type { ViewDrift } from './drift.ts';
import { type ExistingView, readDependants } from './existing.ts';
import type { ViewRecord } from './records.ts';
import type { WantedRollup } from './rollups.ts';
import { get, type Situation } from './situation.ts';

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
 * | `orphan`    | it was applied once and is defined no more: it stays, because `prune` is not set  |
 * | `drop`      | the same, and `prune` is set                                                     |
 */
export type PlanAction = 'create' | 'replace' | 'alter' | 'unchanged' | 'drift' | 'orphan' | 'drop';

/** How a plan deals with what it finds. */
export interface PlanChoices {
  /** What somebody changed by hand is put back. */
  readonly replaceDrifted: boolean;
  /** Views that are defined no more are dropped. */
  readonly prune: boolean;
}

/** What is to be done with a view. */
export interface Decision {
  readonly action: PlanAction;
  readonly reason?: string;
}

/** What is to be done with everything. */
export interface Decisions {
  readonly byName: Map<string, Decision>;
  /** Views that are not of the catalog and must be created anew, because what they use is. */
  readonly strangers: readonly ExistingView[];
  /** Views that were applied once and are defined no more. */
  readonly orphans: readonly ViewRecord[];
  /** Those of them that are dropped. */
  readonly pruned: readonly ViewRecord[];
  readonly drifts: ViewDrift[];
}

/** A view that is created, or dropped and created anew. */
export function isRebuilt(decisions: ReadonlyMap<string, Decision>, view: ViewDefinition): boolean {
  const action = decisions.get(view.name)?.action;
  return action === 'create' || action === 'replace';
}

/** Decides for each view by itself, and then for all that depend on those that are created anew. */
export async function decideAll(
  sql: SqlExecutor,
  situation: Situation,
  rollups: ReadonlyMap<string, WantedRollup>,
  choices: PlanChoices,
): Promise<Decisions> {
  const { schema, views, records, existing } = situation;
  const drifts: ViewDrift[] = [];
  const byName = new Map(
    views.map((view) => [view.name, decide(view, situation, rollups.get(view.name), choices, drifts)]),
  );
  const orphans = records.views.filter(
    (record) => record.schema === schema && !views.some(({ name }) => name === record.name),
  );
  const pruned = choices.prune ? orphans : [];
  // The exact view of a rollup goes and comes with it.
  const ownerOf = new Map(
    records.views.filter(({ rollup }) => rollup !== null).map(({ name }) => [liveName(name), name]),
  );
  const prunedNames = new Set(pruned.map(({ name }) => name));
  for (;;) {
    const gone = [...views.filter((view) => isRebuilt(byName, view)), ...pruned].flatMap(({ name }) =>
      [name, ...(ownerOf.has(liveName(name)) ? [liveName(name)] : [])].flatMap(
        (one) => existing.get(one)?.oid ?? [],
      ),
    );
    const strangers: ExistingView[] = [];
    let grown = false;
    for (const dependant of await readDependants(sql, gone)) {
      const owner = ownerOf.get(dependant.name) ?? dependant.name;
      const decision = dependant.schema === schema ? byName.get(owner) : undefined;
      if (decision === undefined) {
        if (dependant.schema !== schema || !prunedNames.has(owner)) strangers.push(dependant);
      } else if (decision.action !== 'drift' && decision.action !== 'replace') {
        byName.set(owner, { action: 'replace', reason: 'a view it uses is replaced' });
        grown ||= owner !== dependant.name;
      }
    }
    if (!grown) return { byName, strangers, orphans, pruned, drifts };
  }
}

function decide(
  view: ViewDefinition,
  situation: Situation,
  rollup: WantedRollup | undefined,
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
  if (rollup !== undefined) return decideRollup(view, situation, rollup, record, drifted, drifts);
  const kind = view.kind === 'view' ? 'v' : 'm';
  const definition = get(situation.wanted, view.name).definition;
  const wasRollup = record?.kind === 'rollup';
  if (current.kind === kind && current.definition === definition && !wasRollup)
    return { action: 'unchanged' };
  if (record === undefined) return drifted('unknown', 'a different view of that name was never applied');
  const kindThen = record.kind === 'materialized' ? 'm' : 'v';
  const replaced = record.sameServer && current.definition !== record.definition;
  if (current.kind !== kindThen || (replaced && record.tree !== current.tree)) {
    return drifted('definition', 'it was changed in the database');
  }
  return {
    action: 'replace',
    reason: current.kind === kind && !wasRollup ? 'its definition changed' : 'its kind changed',
  };
}

function decideRollup(
  view: ViewDefinition,
  situation: Situation,
  wanted: WantedRollup,
  record: ViewRecord | undefined,
  drifted: (what: ViewDrift['what'], reason: string) => Decision,
  drifts: ViewDrift[],
): Decision {
  const current = get(situation.existing, view.name);
  const live = situation.existing.get(liveName(view.name));
  if (record === undefined) return drifted('unknown', 'a different view of that name was never applied');
  if (record.rollup === null) return { action: 'replace', reason: 'its kind changed' };
  if (live === undefined || !record.rollup.present) {
    drifts.push({ view: view.name, what: 'missing' });
    return { action: 'replace', reason: 'a part of it is gone from the database' };
  }
  const replaced = current.definition !== record.definition || live.definition !== record.rollup.live;
  if (record.sameServer && replaced && record.tree !== `${current.tree}${live.tree}`) {
    return drifted('definition', 'it was changed in the database');
  }
  // Nobody replaced it, but something that it reads has another name.
  if (record.sameServer && replaced) return { action: 'replace', reason: 'a name that it reads changed' };
  if (record.rollup.spec === wanted.spec) return { action: 'unchanged' };
  return { action: 'replace', reason: 'its definition changed' };
}
