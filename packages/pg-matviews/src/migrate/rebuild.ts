import { quoteIdentifier, quoteLiteral } from '@cachekit/core/postgres';
import { fittingIdentifier } from '../identifier.ts';
import { inOrder } from '../order.ts';
import { liveName } from '../rollup/compiled-rollup.ts';
import { createViewsSql } from '../rollup/objects.ts';
import { relationSql } from '../sql/relation.ts';
import type { ViewDefinition } from '../view.ts';
import { createIndexSql } from '../view-index.ts';
import { type Decisions, isRebuilt } from './decide.ts';
import type { ExistingView } from './existing.ts';
import { schemaPart } from './installed.ts';
import { optionsSql, recreateSql, restoreSql } from './restore.ts';
import { fillRollupSql, underPath, type WantedRollup } from './rollups.ts';
import { get, type Situation } from './situation.ts';

/** Statements that drop what is to be created anew from the top, and creates it from the bottom, all that it had included. */
export function rebuildSql(
  situation: Situation,
  decisions: Decisions,
  rollups: ReadonlyMap<string, WantedRollup>,
): string[] {
  const { schema, views, existing, wanted, records } = situation;
  const { strangers, pruned } = decisions;
  const rebuilt = views.filter((view) => isRebuilt(decisions.byName, view));
  const prunedNames = new Set(pruned.map(({ name }) => name));
  const kept = strangers.filter((view) => !(view.schema === schema && prunedNames.has(view.name)));
  const wereRollups = new Set(
    records.views.filter((record) => record.rollup !== null).map(({ name }) => name),
  );
  const lives = [...rebuilt, ...pruned].flatMap(({ name }) =>
    wereRollups.has(name) ? (existing.get(liveName(name)) ?? []) : [],
  );
  const dropped = [
    ...rebuilt.flatMap(({ name }) => existing.get(name) ?? []),
    ...pruned.flatMap(({ name }) => existing.get(name) ?? []),
    ...lives.filter(({ name }) => !rebuilt.some((view) => view.name === name)),
    ...kept,
  ];
  const byOid = new Map(dropped.map((view) => [view.oid, view]));
  const downwards = inOrder(dropped, (view) => view.uses.flatMap((oid) => byOid.get(oid) ?? [])).reverse();
  const drops = downwards.map(
    ({ kind, schema: of, name }) =>
      `DROP ${kind === 'm' ? 'MATERIALIZED VIEW' : 'VIEW'} ${relationSql(of, name)}`,
  );

  const declared = new Map(
    rebuilt.flatMap((view) => [
      [view.name, view] as const,
      ...(view.kind === 'rollup' ? [[liveName(view.name), view] as const] : []),
    ]),
  );
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
  // One that reads a view which is created in this run is filled after it.
  const readsRebuilt = ({ name }: ViewDefinition): boolean =>
    get(wanted, name).uses.some((used) => declared.has(used));
  /** Its readers go on with the old one while it is filled. */
  const isAside = (view: ViewDefinition): boolean =>
    view.kind === 'materialized' && existing.has(view.name) && !readsRebuilt(view);
  const creates = upwards.flatMap((node) =>
    'oid' in node
      ? [...recreateSql(node), ...restoreSql(node, undefined)]
      : node.kind === 'rollup'
        ? [
            ...(readsRebuilt(node) ? fillRollupSql(get(rollups, node.name)) : []),
            ...createRollupSql(situation, node, get(rollups, node.name)),
          ]
        : createSql(schema, node, existing.get(node.name), get(wanted, node.name).columns, isAside(node)),
  );
  const needsSchema = schema !== 'public' && creates.length > 0;
  return [
    ...(needsSchema ? [createSchemaSql(schema)] : []),
    ...rebuilt.flatMap((view) => {
      if (isAside(view)) return fillSql('cachekit', asideName(view.name), view, existing.get(view.name));
      return view.kind === 'rollup' && !readsRebuilt(view) ? fillRollupSql(get(rollups, view.name)) : [];
    }),
    ...drops,
    ...creates,
  ];
}

/** A schema that is created here is remembered, so that whoever removes everything removes it too. */
function createSchemaSql(schema: string): string {
  return `DO $do$ BEGIN
  IF to_regnamespace(${quoteLiteral(quoteIdentifier(schema))}) IS NULL THEN
    CREATE SCHEMA ${quoteIdentifier(schema)};
    INSERT INTO cachekit.installed (part, version, oldest) VALUES (${quoteLiteral(schemaPart + schema)}, 0, 0) ON CONFLICT DO NOTHING;
  END IF;
END $do$`;
}

/** The two views of a rollup, with what the ones before had; its table was filled before. */
function createRollupSql(
  { existing, wanted }: Situation,
  view: ViewDefinition,
  rollup: WantedRollup,
): string[] {
  const { shown, live } = createViewsSql(rollup.place, rollup.shape);
  const columns = get(wanted, view.name).columns;
  const restored = [view.name, liveName(view.name)].flatMap((name) => {
    const before = existing.get(name);
    return before === undefined ? [] : restoreSql({ ...before, kind: 'v', indexes: [] }, columns);
  });
  return [...underPath(rollup, [shown, live]), ...restored];
}

/** What creates a view of its own schema, or aside, with its rows and indexes. */
function fillSql(
  schema: string,
  name: string,
  view: ViewDefinition,
  before: ExistingView | undefined,
): string[] {
  const sameKind = before !== undefined && (before.kind === 'm') === (view.kind === 'materialized');
  const options = optionsSql(sameKind ? before : undefined);
  return [
    `CREATE ${view.kind === 'materialized' ? 'MATERIALIZED VIEW' : 'VIEW'} ${relationSql(schema, name)}${options} AS ${view.query}`,
    ...view.indexes.map((index) => createIndexSql(schema, name, index)),
  ];
}

/** Name of a materialized view in schema `cachekit` while it is filled. */
function asideName(view: string): string {
  return fittingIdentifier(`${view}__next`);
}

function createSql(
  schema: string,
  view: ViewDefinition,
  before: ExistingView | undefined,
  columns: readonly string[],
  aside: boolean,
): string[] {
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
  const there = relationSql('cachekit', asideName(view.name));
  return [
    ...(aside
      ? [
          `ALTER MATERIALIZED VIEW ${there} SET SCHEMA ${quoteIdentifier(schema)}`,
          `ALTER MATERIALIZED VIEW ${relationSql(schema, asideName(view.name))} RENAME TO ${quoteIdentifier(view.name)}`,
        ]
      : fillSql(schema, view.name, view, before)),
    ...others.map((index) => index.definition),
    ...restored,
  ];
}
