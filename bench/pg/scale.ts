/** How much a run measures: the table, and how long and often. */
export interface Scale {
  readonly rows: number;
  /** So many that there are 45,000 groups at a million rows, and always as many rows in a group. */
  readonly users: number;
  readonly days: number;
  readonly rounds: number;
  /** Of constant writes, per strategy. */
  readonly seconds: number;
}

/** The scale of a table of so many rows; below a million it is a short run. */
export function scaleOf(rows: number): Scale {
  const short = rows < 1_000_000;
  return {
    rows,
    users: Math.max(4, Math.round((500 * rows) / 1_000_000)),
    days: 90,
    rounds: short ? 3 : 5,
    seconds: short ? 4 : 8,
  };
}
