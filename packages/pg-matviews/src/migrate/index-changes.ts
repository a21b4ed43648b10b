import { relationSql } from '../sql/relation.ts';
import type { ViewDefinition } from '../view.ts';
import { createIndexSql } from '../view-index.ts';
import type { ExistingView } from './existing.ts';
import type { ViewRecord } from './records.ts';

/** What is to be done to the indexes of a view whose rows stay. */
export interface IndexChanges {
  readonly statements: readonly string[];
  /** Indexes that are gone or are not what was applied. */
  readonly drifted: readonly string[];
}

/** Indexes that were never applied are left alone. */
export function indexChanges(
  schema: string,
  view: ViewDefinition,
  current: ExistingView,
  record: ViewRecord | undefined,
): IndexChanges {
  const statements: string[] = [];
  const drifted: string[] = [];
  const drop = (name: string): string => `DROP INDEX ${relationSql(schema, name)}`;
  for (const index of view.indexes) {
    const wanted = createIndexSql(schema, view.name, index);
    const applied = record?.indexes[index.name];
    const there = current.indexes.find(({ name }) => name === index.name);
    if (there === undefined) {
      if (applied !== undefined) drifted.push(index.name);
      statements.push(wanted);
      continue;
    }
    const byHand =
      applied !== undefined && record?.sameServer === true && applied.actual !== there.definition;
    if (byHand) drifted.push(index.name);
    if (byHand || applied?.wanted !== wanted) statements.push(drop(index.name), wanted);
  }
  for (const name of Object.keys(record?.indexes ?? {})) {
    if (view.indexes.some((index) => index.name === name)) continue;
    if (current.indexes.some((index) => index.name === name)) statements.push(drop(name));
  }
  return { statements, drifted };
}
