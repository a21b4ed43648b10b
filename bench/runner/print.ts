import type { Figure } from './figure.ts';

/** One line of JSON per figure. */
export function asJson(figures: readonly Figure[]): string {
  return figures.map((figure) => JSON.stringify(figure)).join('\n');
}

const columns = ['name', 'ours', 'peer', 'ratio', 'target', 'ok'] as const;

/** A table for people. */
export function asTable(figures: readonly Figure[]): string {
  const rows: readonly string[][] = [[...columns], ...figures.map(cells)];
  const widths = columns.map((_, column) => Math.max(...rows.map((row) => (row[column] as string).length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] as number) : cell.padStart(widths[column] as number),
        )
        .join('  '),
    )
    .join('\n');
}

function cells({ name, ours, peer, ratio, target, ok }: Figure): string[] {
  return [
    name,
    String(ours),
    String(peer ?? '-'),
    String(ratio ?? '-'),
    String(target),
    ok === null ? '-' : ok ? 'yes' : 'NO',
  ];
}
