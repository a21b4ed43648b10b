/**
 * Whether two lists hold the same records, whatever the order of the keys of an object and of the records: one list may be
 * sorted by whoever wrote it, the other by a collation.
 */
export function sameInAnyOrder(a: readonly unknown[], b: readonly unknown[]): boolean {
  return JSON.stringify(a.map(canonical).sort()) === JSON.stringify(b.map(canonical).sort());
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
