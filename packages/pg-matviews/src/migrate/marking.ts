import { ConfigurationError } from '@cachekit/core';
import { markFunctionBody, markFunctionSql, settingsOf } from '../sql/mark-function.ts';
import {
  type MarkRule,
  type MarkUnit,
  markEvents,
  markFunctionName,
  markTriggerName,
  markTriggerSql,
  rowTrigger,
  rowTriggerSql,
} from '../sql/mark-trigger.ts';
import type { ViewDefinition } from '../view.ts';
import type { SourceRecord } from './records.ts';
import type { SourceTable } from './source-table.ts';
import type { WantedView } from './wanted.ts';

/**
 * What is to be recorded for the sources of a view: an update counts if it changes a column that the view reads.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if a table or the view has no column of a name that was given.
 */
export function wantedSources(
  view: ViewDefinition,
  wanted: WantedView,
  tables: ReadonlyMap<string, SourceTable>,
): SourceRecord[] {
  if (view.tenant !== undefined && !wanted.columns.includes(view.tenant)) {
    throw new ConfigurationError(
      `View "${view.name}" has no column "${view.tenant}" that could say the tenant`,
    );
  }
  return view.sources.map((source) => {
    const table = tables.get(source.table);
    if (table === undefined) throw new ConfigurationError(`Source "${source.table}": there is no such table`);
    const has = (column: string): boolean => table.columns.some(({ name }) => name === column);
    for (const column of [
      ...(source.tenant === undefined ? [] : [source.tenant]),
      ...source.key.map(([, c]) => c),
    ]) {
      if (has(column)) continue;
      throw new ConfigurationError(`View "${view.name}": its source ${table.name} has no column "${column}"`);
    }
    for (const [column] of source.key) {
      if (wanted.columns.includes(column)) continue;
      throw new ConfigurationError(`View "${view.name}" has no column "${column}" that could be a key`);
    }
    const read = wanted.tables.find(({ oid }) => oid === table.oid);
    return {
      view: view.name,
      source: table.name,
      tenant: source.tenant ?? null,
      key: Object.fromEntries(source.key),
      columns: read?.columns ?? table.columns.map(({ name }) => name).sort(),
    };
  });
}

/** Tables that a view reads and that do not mark it. */
export function unmarkedTables(wanted: WantedView, sources: readonly SourceRecord[]): string[] {
  if (sources.length === 0) return [];
  const marked = new Set(sources.map(({ source }) => source));
  return wanted.tables.filter(({ name }) => !marked.has(name)).map(({ name }) => name);
}

/** Statements that make the triggers of a table mark by `rules`; none if they do already. */
export function markingSql(table: SourceTable, rules: readonly MarkRule[]): string[] {
  if (rules.length === 0) {
    return [
      ...(table.installed === null ? [] : [dropFunctionSql(table.name, 'statement')]),
      ...(table.installedForRows === null ? [] : [dropFunctionSql(table.name, 'row')]),
    ];
  }
  const columns = new Map(table.columns.map((column) => [column.name, column]));
  const body = markFunctionBody(table.name, rules, columns);
  const bodyForRows = table.subscribed ? markFunctionBody(table.name, rules, columns, 'row') : null;
  const settings = settingsOf(rules, columns);
  const statements: string[] = [];
  // Writers that run the function as it was have ended when it changes: none of them marks by the old rules alone.
  if (table.installed !== body || (bodyForRows !== null && table.installedForRows !== bodyForRows)) {
    statements.push(`LOCK TABLE ${table.name} IN SHARE ROW EXCLUSIVE MODE`);
  }
  if (table.installed !== body) statements.push(markFunctionSql(table.name, body, settings));
  if (bodyForRows !== null && table.installedForRows !== bodyForRows)
    statements.push(markFunctionSql(table.name, bodyForRows, settings, 'row'));
  if (bodyForRows === null && table.installedForRows !== null)
    statements.push(dropFunctionSql(table.name, 'row'));
  for (const { name, triggers, replicates, stored } of table.tables) {
    for (const event of markEvents) {
      const trigger = markTriggerName(event);
      if (triggers.includes(trigger)) continue;
      statements.push(markTriggerSql(table.name, name, event));
    }
    if (!table.subscribed || replicates) continue;
    if (stored) statements.push(...rowTriggerSql(table.name, name));
    statements.push(`ALTER TABLE ${name} ENABLE ALWAYS TRIGGER ${markTriggerName('truncate')}`);
  }
  for (const name of table.detached) {
    for (const trigger of [...markEvents.map(markTriggerName), rowTrigger])
      statements.push(`DROP TRIGGER IF EXISTS ${trigger} ON ${name}`);
  }
  return statements;
}

/** Statements for a source that is no more: one that was renamed or moved still has the triggers of its old name. */
export function goneTableSql(table: string): string[] {
  return [dropFunctionSql(table, 'statement', true), dropFunctionSql(table, 'row', true)];
}

/** Whether every trigger of the table is there and fires, and no part has been taken away from it. */
export function marksCompletely(table: SourceTable): boolean {
  return (
    table.detached.length === 0 &&
    table.tables.every(
      ({ triggers, replicates }) =>
        (!table.subscribed || replicates) &&
        markEvents.every((event) => triggers.includes(markTriggerName(event))),
    )
  );
}

function dropFunctionSql(table: string, per: MarkUnit, maybe = false): string {
  return `DROP FUNCTION ${maybe ? 'IF EXISTS ' : ''}${markFunctionName(table, per)}() CASCADE`;
}
