/** How long to wait between attempts. */
export interface BackoffRange {
  readonly minMs: number;
  readonly maxMs: number;
}

/** Longest wait a server can ask for. */
const maxFloorMs = 300_000;

/**
 * Milliseconds until the next attempt: full jitter, `random() · min(max, min · 2^failures)`.
 *
 * The cap comes before the jitter, so that clients that are at the cap stay spread. What the server asked for is a
 * floor that the jitter is added to, for the same reason.
 *
 * @param failures - Attempts that failed in a row before this one.
 * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function backoffMs(
  { minMs, maxMs }: BackoffRange,
  failures: number,
  random: () => number,
  floorMs = 0,
): number {
  const ceiling = Math.min(maxMs, minMs * 2 ** Math.min(failures, 30));
  return Math.min(floorMs, maxFloorMs) + Math.round(random() * ceiling);
}

/** Milliseconds that a `Retry-After` header asks for: seconds or a date; 0 if it says neither. */
export function retryAfterMs(header: string | null, now: number): number {
  if (header === null) return 0;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1_000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? 0 : Math.max(0, at - now);
}
