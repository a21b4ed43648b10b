import type { SqlExecutor } from '@cachekit/core';
import { createViews } from '../catalog.ts';
import type { ViewDrift } from '../migrate/drift.ts';
import { triggersMissing } from '../migrate/plan.ts';
import type { ViewDefinition } from '../view.ts';
import { type Finding, finding } from './finding.ts';

const said: Readonly<Record<Exclude<ViewDrift['what'], 'trigger'>, string>> = {
  missing: 'It was applied and is gone from the database',
  definition: 'Somebody replaced it by another one',
  unknown: 'There is a view of that name that was never applied',
  index: 'An index of it is gone or was replaced, and with it what readers and refreshes relied on',
};

/** Definitions that the database does not have yet, and views that are not as they were applied. */
export async function unappliedOrDrifted(
  sql: SqlExecutor,
  schema: string,
  definitions: readonly ViewDefinition[],
): Promise<Finding[]> {
  const views = createViews({ sql, views: definitions, schema });
  // Triggers have checks of their own, which need no definitions.
  const drifts = (await views.check()).filter(({ what }) => what !== 'trigger');
  const drifted = new Set(drifts.map(({ view }) => view));
  const pending = (await views.plan()).filter(
    ({ view, action, reason }) =>
      ['create', 'replace', 'alter'].includes(action) && reason !== triggersMissing && !drifted.has(view),
  );
  if (drifts.length + pending.length === 0) return [];
  const mend = [await views.script({ drift: 'replace' })];
  return [
    ...drifts.map(({ view, what, object }) =>
      finding('drift', object === undefined ? view : `${view}: ${object}`, `${said[what as never]}.`, mend),
    ),
    ...pending.map(({ view, action, reason }) =>
      finding(
        'not-applied',
        view,
        action === 'create'
          ? 'It was never applied: the database has no such view.'
          : `The definition was changed and not applied (${action}${reason === undefined ? '' : `: ${reason}`}): readers have the view as it was.`,
        mend,
      ),
    ),
  ];
}
