import { quoteIdentifier } from '@cachekit/core/postgres';
import { inOrder } from '../order.ts';
import { relationSql } from '../sql/relation.ts';
import type { ViewDefinition } from '../view.ts';
import { createIndexSql } from '../view-index.ts';
import { type Decisions, isRebuilt } from './decide.ts';
import type { ExistingView } from './existing.ts';
import { optionsSql, recreateSql, restoreSql } from './restore.ts';
import { get, type Situation } from './situation.ts';

/** Statements that drop what is to be created anew from the top, and creates it from the bottom, all that it had included. */
export function rebuildSql(situation: Situation, decisions: Decisions): string[] {
  const { schema, views, existing, wanted } = situation;
  const { strangers, pruned } = decisions;
  const rebuilt = views.filter((view) => isRebuilt(decisions.byName, view));
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
