import { tableLines } from '../../table.ts';
import type { Cost } from '../meter.ts';

export function printTable(
  title: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): void {
  console.log(`\n${title}\n\n${tableLines(head, rows).join('\n')}`);
}

/** Where answers came from. */
export function sourcesText({ memoryHits, remoteHits, misses }: Cost): string {
  const parts: readonly (readonly [number, string])[] = [
    [misses, 'loaded'],
    [remoteHits, 'from Redis'],
    [memoryHits, 'in memory'],
  ];
  const told = parts.filter(([count]) => count > 0).map(([count, where]) => `${count} ${where}`);
  return told.join(', ') || '-';
}
