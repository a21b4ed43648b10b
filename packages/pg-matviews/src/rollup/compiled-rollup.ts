import { quoteIdentifier } from '@cachekit/core/postgres';
import type { RollupKey } from './key.ts';

/** What only a rollup has. */
export interface Rollup {
  /** As written: `table` or `schema.table`. */
  readonly from: string;
  /** The table, quoted where it must be. */
  readonly fromSql: string;
  /** Under this name {@link scoped} reads the rows of one group; `undefined`: it finds them itself. */
  readonly alias: string | undefined;
  readonly keys: readonly RollupKey[];
  /** All groups, one row each, read from the table itself. */
  readonly groups: string;
  /** The same, planned as if there were few rows: for a branch that hardly ever runs, beside others that do. */
  readonly seldom: string;
  /** The one group, or none, whose keys are `d.k0`, `d.k1`, ... */
  readonly scoped: string;
  /** Columns of a stored group after the keys; `undefined`: what the SQL gives. */
  readonly stored: readonly string[] | undefined;
  /** What readers see of stored groups in the relation or subquery called `g`, columns after the keys. */
  readonly shown: readonly (readonly [string, string])[] | undefined;
  readonly derived: readonly (readonly [string, string])[];
  /** SQL condition on a shown or stored row called `g`. */
  readonly window: string | undefined;
  /** SQL condition for stored groups that nobody will read any more, on a row called `g`. */
  readonly expired: string | undefined;
  /** The setting that says the tenant of a session. */
  readonly setting: string | undefined;
}

/** Name of the exact view of a rollup. */
export function liveName(name: string): string {
  return `${name}_live`;
}

/** Whether readers see groups as they are stored, all of them. */
export function isShownAsStored({ shown, stored, derived, window }: Rollup): boolean {
  return (
    derived.length === 0 &&
    window === undefined &&
    (shown === undefined ||
      (shown.length === stored?.length &&
        shown.every(([name, sql], at) => name === stored[at] && sql === quoteIdentifier(name))))
  );
}

/** What readers see of groups in `relation`, with the window and the derived columns. */
export function shownSql(rollup: Rollup, relation: string): string {
  const columns =
    rollup.shown === undefined
      ? 'g.*'
      : [
          ...rollup.keys.map((key) => `g.${quoteIdentifier(key.name)}`),
          ...rollup.shown.map(([column, sql]) => `${sql} AS ${quoteIdentifier(column)}`),
        ].join(', ');
  const where = rollup.window === undefined ? '' : ` WHERE ${rollup.window}`;
  const plain = `SELECT ${columns} FROM ${relation} g${where}`;
  if (rollup.derived.length === 0) return plain;
  const derived = rollup.derived.map(([column, sql]) => `${sql} AS ${quoteIdentifier(column)}`);
  return `SELECT s.*, ${derived.join(', ')} FROM (${plain}) s`;
}
