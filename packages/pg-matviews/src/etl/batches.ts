/** Rows of more than about this are not sent together. */
export const batchBytes: number = 32 * 1024 * 1024;

/** The rows, cut into what one statement carries: neither a text of JavaScript nor a value of PostgreSQL can be of any length. */
export function* batchesOf(rows: readonly string[]): Generator<readonly string[]> {
  let start = 0;
  let length = 0;
  for (const [at, row] of rows.entries()) {
    if (at > start && length + row.length > batchBytes) {
      yield rows.slice(start, at);
      start = at;
      length = 0;
    }
    length += row.length;
  }
  if (start < rows.length) yield rows.slice(start);
}
