/** Upper bounds of the buckets that load times are counted in, in milliseconds; what took longer is in one more. */
export const loadTimeBounds: readonly number[] = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000,
];

/** How many loads took how long. */
export interface LoadTimeBucket {
  /** `null`: longer than any bound. */
  readonly upToMs: number | null;
  /** Loads that took no longer, and longer than the bound before. */
  readonly loads: number;
}

/** A count of zero for every bucket. */
export function noLoadTimes(): number[] {
  return new Array<number>(loadTimeBounds.length + 1).fill(0);
}

/** Counts one load. */
export function observeLoadTime(counts: number[], durationMs: number): void {
  let bucket = 0;
  while (bucket < loadTimeBounds.length && durationMs > (loadTimeBounds[bucket] as number)) bucket++;
  counts[bucket] = (counts[bucket] as number) + 1;
}

/** The counts with their bounds. */
export function loadTimeBuckets(counts: readonly number[]): LoadTimeBucket[] {
  return counts.map((loads, index) => ({ upToMs: loadTimeBounds[index] ?? null, loads }));
}
