import type { ViewDefinition } from '../view.ts';
import type { EdgeRecord } from './records.ts';
import { get } from './situation.ts';
import type { WantedView } from './wanted.ts';

/** Which materialized view is computed from which, also through plain views. */
export function wantedEdges(
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
