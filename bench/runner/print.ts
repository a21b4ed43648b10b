import type { Figure } from './figure.ts';

/** One line of JSON per figure. */
export function asJson(figures: readonly Figure[]): string {
  return figures.map((figure) => JSON.stringify(figure)).join('\n');
}

/** Figures of one run that are kept: ratios, and what has none by nature; no times that are those of a machine. */
export interface Results {
  readonly command: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly figures: readonly {
    readonly name: string;
    readonly ratio?: number;
    readonly ours?: number;
    readonly target: number;
    readonly ok: boolean;
  }[];
}

/** The figures as {@link Results}, as JSON; those whose peer is missing are left out. */
export function asResults(
  command: string,
  versions: Readonly<Record<string, string>>,
  figures: readonly Figure[],
): string {
  const results: Results = {
    command,
    versions,
    figures: figures.flatMap(({ name, ours, ratio, target, ok }) =>
      ok === null ? [] : [{ name, ...(ratio === null ? { ours } : { ratio }), target, ok }],
    ),
  };
  return `${JSON.stringify(results, null, 2)}\n`;
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
