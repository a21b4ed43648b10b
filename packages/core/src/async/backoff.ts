/**
 * How long to wait before attempt `attempt + 1`: exponential, with full jitter.
 *
 * Uniform in `[0, min(maxMs, initialMs · 2^attempt))`, but never under `initialMs / 2`, so that a failure that is
 * instant does not become a busy loop.
 *
 * @param attempt - Failures so far, from 0.
 * @param random - Uniform in `[0, 1)`.
 * @see AWS Architecture Blog, "Exponential Backoff And Jitter"
 */
export function backoffMs(attempt: number, initialMs: number, maxMs: number, random: () => number): number {
  const ceiling = Math.min(maxMs, initialMs * 2 ** Math.min(attempt, 30));
  return Math.max(initialMs / 2, random() * ceiling);
}
