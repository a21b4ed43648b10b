/** What was seen of one thing. */
export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The lines of a table, every column as wide as its widest cell. */
export function tableLines({ title, head, rows }: Table): string[] {
  const widths = head.map((name, at) => Math.max(name.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd();
  return [title, '', line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)];
}
