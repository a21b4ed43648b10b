import { createViews, type Views } from '../../catalog.ts';
import type { PlanEntry } from '../../migrate/plan.ts';
import type { ExitCode } from '../host.ts';
import { textTable } from '../text-table.ts';
import { print, takesNoNames, type Work } from './work.ts';

/** Says what applying would do. */
export async function plan(work: Work): Promise<ExitCode> {
  takesNoNames(work);
  const entries = await viewsOf(work).plan(choicesOf(work));
  print(work, entries, () => planText(entries));
  return 0;
}

/** Brings the database to the definitions. */
export async function apply(work: Work): Promise<ExitCode> {
  takesNoNames(work);
  const entries = await viewsOf(work).apply(choicesOf(work));
  print(work, entries, () => planText(entries.filter(({ action }) => action !== 'unchanged')));
  return 0;
}

/** Finds what somebody changed by hand and, if that is wanted, what waits to be applied. */
export async function check(work: Work): Promise<ExitCode> {
  takesNoNames(work);
  const views = viewsOf(work);
  const drifts = await views.check();
  const pending = work.line.pending
    ? (await views.plan({ drift: 'replace' })).filter(
        ({ action }) => action !== 'unchanged' && action !== 'orphan',
      )
    : [];
  const waiting = pending.filter(({ view }) => !drifts.some((drift) => drift.view === view));
  print(work, { drifts, pending: waiting }, () =>
    drifts.length + waiting.length === 0
      ? work.line.pending
        ? 'As defined.\n'
        : 'Nothing was changed by hand.\n'
      : textTable([
          ...drifts.map(({ view, what, object }) => ['drift', view, what, object ?? '']),
          ...waiting.map(({ view, action, reason }) => ['pending', view, action, reason ?? '']),
        ]),
  );
  return drifts.length + waiting.length === 0 ? 0 : 1;
}

export function viewsOf({ sql, config, clock }: Work): Views {
  const { views, schema } = config;
  return createViews({ sql, views, clock, ...(schema === undefined ? {} : { schema }) });
}

export function choicesOf({ line }: Work): { drift: 'refuse' | 'replace'; prune: boolean } {
  return { drift: line.drift, prune: line.prune };
}

function planText(entries: readonly PlanEntry[]): string {
  if (entries.length === 0) return 'Nothing to do.\n';
  return textTable(
    entries.map(({ view, action, reason, unmarked }) => [
      action,
      view,
      [
        action === 'orphan' ? '--prune drops it' : (reason ?? ''),
        unmarked.length === 0 ? '' : `not marked by ${unmarked.join(', ')}`,
      ]
        .filter((part) => part !== '')
        .join('; '),
    ]),
  );
}
