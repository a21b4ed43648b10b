import type { SqlExecutor } from '@cachekit/core';
import type { ViewDefinition } from '../view.ts';
import type { ViewDrift } from './drift.ts';
import { type ExistingView, readDependants } from './existing.ts';
import type { ViewRecord } from './records.ts';
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
 * | `drop`      | it was applied once and is defined no more; dropped only with `prune`            |
 */
export type PlanAction = 'create' | 'replace' | 'alter' | 'unchanged' | 'drift' | 'drop';

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
  choices: PlanChoices,
): Promise<Decisions> {
  const { schema, views, records, existing } = situation;
  const drifts: ViewDrift[] = [];
  const byName = new Map(views.map((view) => [view.name, decide(view, situation, choices, drifts)]));
  const orphans = records.views.filter(
    (record) => record.schema === schema && !views.some(({ name }) => name === record.name),
  );
  const pruned = choices.prune ? orphans : [];
  const gone = [...views.filter((view) => isRebuilt(byName, view)), ...pruned].flatMap(
    ({ name }) => existing.get(name)?.oid ?? [],
  );
  const strangers: ExistingView[] = [];
  for (const dependant of await readDependants(sql, gone)) {
    const decision = dependant.schema === schema ? byName.get(dependant.name) : undefined;
    if (decision === undefined) strangers.push(dependant);
    else if (decision.action !== 'drift') {
      byName.set(dependant.name, { action: 'replace', reason: 'a view it uses is replaced' });
    }
  }
  return { byName, strangers, orphans, pruned, drifts };
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
