import { isStored, type ViewDefinition } from '../view.ts';
import type { EdgeRecord } from './records.ts';
import { get } from './situation.ts';
import type { WantedView } from './wanted.ts';

/**
 * Which stored view (materialized or rollup) each view is computed from, also through plain views. A refresh of the
 * parent marks a stored child, and is told for a plain one.
 */
export function wantedEdges(
  views: readonly ViewDefinition[],
  wanted: ReadonlyMap<string, WantedView>,
): EdgeRecord[] {
  const kinds = new Map(views.map((view) => [view.name, view.kind]));
  const parentsOf = (name: string): string[] =>
    get(wanted, name).uses.flatMap((used) => (isStored(kinds.get(used)) ? [used] : parentsOf(used)));
  return views
    .flatMap(({ name }) => [...new Set(parentsOf(name))].map((parent) => ({ parent, child: name })))
    .sort((a, b) => (`${a.parent}\0${a.child}` < `${b.parent}\0${b.child}` ? -1 : 1));
}
