/**
 * How bad something is.
 *
 * - `failure`: it does not work, or it shows wrong rows or rows of others.
 * - `warning`: it works, slower or with a risk.
 */
export type FindingLevel = 'failure' | 'warning';

/** What can be wrong; the guide "Doctor" explains each. */
export type Defect =
  | 'not-applied'
  | 'drift'
  | 'not-populated'
  | 'unique-index-missing'
  | 'unique-index-unfit'
  | 'null-key'
  | 'index-invalid'
  | 'index-missing'
  | 'trigger-missing'
  | 'trigger-disabled'
  | 'subscription-unmarked'
  | 'trigger-left-over'
  | 'replica-role'
  | 'stale-marks'
  | 'refresh-failing'
  | 'orphaned-marks'
  | 'dead-consumer'
  | 'unread-outbox'
  | 'refresh-by-trigger'
  | 'notify-per-row'
  | 'timeout-in-function'
  | 'function-search-path'
  | 'right-missing'
  | 'row-security-partial'
  | 'row-security-bypassed'
  | 'long-transaction'
  | 'inactive-slot'
  | 'bloat'
  | 'autovacuum-off'
  | 'session-time-zone'
  | 'window-not-aligned'
  | 'outer-join-undone'
  | 'fan-out-join'
  | 'average-stored';

/** How bad each defect is. */
const levels: Readonly<Record<Defect, FindingLevel>> = {
  'not-applied': 'warning',
  drift: 'failure',
  'not-populated': 'failure',
  'unique-index-missing': 'warning',
  'unique-index-unfit': 'warning',
  'null-key': 'warning',
  'index-invalid': 'failure',
  'index-missing': 'warning',
  'trigger-missing': 'failure',
  'trigger-disabled': 'failure',
  'subscription-unmarked': 'failure',
  'trigger-left-over': 'warning',
  'replica-role': 'failure',
  'stale-marks': 'warning',
  'refresh-failing': 'failure',
  'orphaned-marks': 'warning',
  'dead-consumer': 'warning',
  'unread-outbox': 'warning',
  'refresh-by-trigger': 'failure',
  'notify-per-row': 'warning',
  'timeout-in-function': 'warning',
  'function-search-path': 'warning',
  'right-missing': 'failure',
  'row-security-partial': 'failure',
  'row-security-bypassed': 'failure',
  'long-transaction': 'warning',
  'inactive-slot': 'warning',
  bloat: 'warning',
  'autovacuum-off': 'warning',
  'session-time-zone': 'failure',
  'window-not-aligned': 'failure',
  'outer-join-undone': 'failure',
  'fan-out-join': 'failure',
  'average-stored': 'warning',
};

/** Something that is wrong in a database, and what mends it. */
export interface Finding {
  readonly defect: Defect;
  readonly level: FindingLevel;
  /** What it is about, as it stands in SQL: a view, an index, a trigger, a role. */
  readonly object: string;
  /** Why it is wrong, in one or two sentences. */
  readonly reason: string;
  /**
   * SQL that mends it: to be run in this order, each by itself and outside a transaction. One may hold several
   * statements between BEGIN and COMMIT. Empty where only whoever knows the data can say what to do; the reason tells.
   */
  readonly mend: readonly string[];
}

/** Every defect, the most fundamental first. */
export const defects: readonly Defect[] = Object.keys(levels) as Defect[];

export function finding(defect: Defect, object: string, reason: string, mend: readonly string[]): Finding {
  return { defect, level: levels[defect], object, reason, mend };
}

/** Statements that take effect together or not at all, as one piece of SQL. */
export function together(statements: readonly string[]): string {
  return `BEGIN;\n${statements.map((statement) => `${statement};\n`).join('')}COMMIT`;
}
