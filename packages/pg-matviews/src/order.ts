import { ConfigurationError } from '@cachekit/core';
import { LayerViolationError } from './errors.ts';
import type { ViewDefinition } from './view.ts';

/**
 * `nodes` with each after all it uses; among those that are free, in the order given.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` that spells the cycle, if there is one.
 */
export function inOrder<Node>(nodes: readonly Node[], usesOf: (node: Node) => Iterable<Node>): Node[] {
  const ordered = new Set<Node>();
  const path: Node[] = [];
  const visit = (node: Node): void => {
    if (ordered.has(node)) return;
    const seen = path.indexOf(node);
    if (seen >= 0) {
      throw new ConfigurationError(
        `Views use each other in a circle: ${[...path.slice(seen), node].join(' -> ')}`,
      );
    }
    path.push(node);
    for (const used of usesOf(node)) if (nodes.includes(used)) visit(used);
    path.pop();
    ordered.add(node);
  };
  for (const node of nodes) visit(node);
  return [...ordered];
}

/** Which views of the catalog each view names, judged by the text of its query. */
export function namedUses(schema: string, views: readonly ViewDefinition[]): Map<string, readonly string[]> {
  const names = new Set(views.map((view) => view.name));
  return new Map(
    views.map((view) => [
      view.name,
      [
        ...new Set(
          view.references
            .filter((reference) => names.has(reference.name) && (reference.schema ?? schema) === schema)
            .map((reference) => reference.name),
        ),
      ],
    ]),
  );
}

/** @throws LayerViolationError `LAYER_VIOLATION` */
export function assertLayers(
  views: ReadonlyMap<string, ViewDefinition>,
  uses: ReadonlyMap<string, readonly string[]>,
): void {
  for (const [name, used] of uses) {
    const layer = views.get(name)?.layer;
    if (layer === undefined) continue;
    for (const other of used) {
      const lower = views.get(other)?.layer;
      if (lower !== undefined && lower >= layer) throw new LayerViolationError(name, layer, other, lower);
    }
  }
}
