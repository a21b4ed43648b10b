import { quoteIdentifier } from '@cachekit/core/postgres';
import { fittingIdentifier } from '../identifier.ts';

/** What writers tell the refresher they wake. */
export const wakeSubject = 'view';

/** How a write to one table marks one view. */
export interface MarkRule {
  readonly view: string;
  readonly tenant: string | null;
  /** View column to table column. */
  readonly key: Readonly<Record<string, string>>;
  /** An update counts only if one of these changed. */
  readonly columns: readonly string[];
  /** The view is a rollup, which has a log of its own. */
  readonly rollup?: LogMark;
}

/** What is written to the log of a rollup. */
export interface LogMark {
  /** Qualified and quoted. */
  readonly log: string;
  /** Each key as SQL over a row `t` of the table; `undefined`: the table does not know it, so it may be any. */
  readonly keys: readonly (MarkKey | undefined)[];
  /** Whether the log takes the keys of many rows as one row. */
  readonly many: boolean;
  /** `wild` of a mark that is about every group. */
  readonly mask: number;
  /** The table of the groups, qualified and quoted. */
  readonly table: string;
}

/** A key as SQL over a row `t`, and what is null exactly if it is. */
interface MarkKey {
  readonly sql: string;
  readonly column: string;
}

/** The events that mark, each with a trigger of its own: one with transition tables can name one event only. */
export const markEvents = ['insert', 'update', 'delete', 'truncate'] as const;

/** Name of the trigger of an event. */
export function markTriggerName(event: (typeof markEvents)[number]): string {
  return `cachekit_mark_${event}`;
}

/** Name of the trigger that marks row by row what a subscription applies. */
export const rowTrigger = 'cachekit_mark_row';

/** The function the triggers of a table call: those of statements, or the one of rows. */
export function markFunctionName(table: string, per: MarkUnit = 'statement'): string {
  const name = `mark_${table.replaceAll('"', '')}${per === 'row' ? '_row' : ''}`;
  return `cachekit.${quoteIdentifier(fittingIdentifier(name))}`;
}

/** What a trigger is fired for. */
export type MarkUnit = 'statement' | 'row';

/** The statement that creates the trigger of one event; it takes SHARE ROW EXCLUSIVE on the table. */
export function markTriggerSql(table: string, on: string, event: (typeof markEvents)[number]): string {
  const transition = {
    insert: 'REFERENCING NEW TABLE AS new_rows ',
    update: 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows ',
    delete: 'REFERENCING OLD TABLE AS old_rows ',
    truncate: '',
  };
  return `CREATE OR REPLACE TRIGGER ${markTriggerName(event)} AFTER ${event.toUpperCase()} ON ${on} ${transition[event]}FOR EACH STATEMENT EXECUTE FUNCTION ${markFunctionName(table)}()`;
}

/**
 * The statements that create the trigger for what a subscription applies: the server fires no statement triggers then,
 * and only row triggers that say so. It sleeps in all other sessions, whose statements are marked already.
 */
export function rowTriggerSql(table: string, on: string): string[] {
  return [
    `CREATE OR REPLACE TRIGGER ${rowTrigger} AFTER INSERT OR UPDATE OR DELETE ON ${on} FOR EACH ROW EXECUTE FUNCTION ${markFunctionName(table, 'row')}()`,
    `ALTER TABLE ${on} ENABLE REPLICA TRIGGER ${rowTrigger}`,
  ];
}
