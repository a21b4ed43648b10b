import { ArgumentError, asArgument, assertKnownOptions } from '../errors.ts';
import { type CacheMetricsSnapshot, percent } from './metrics.ts';

/** What {@link ttlAdvice} says of one resource. */
export interface TtlAdvice {
  readonly resource: string;
  readonly ttlMs: number;
  /** Measured, of 100 requests. */
  readonly hitRate: number;
  /** The shortest `ttl`, rounded up to a time that one would write, with which the target would be met. */
  readonly advisedTtlMs: number;
  /** What the hit rate would be with it. */
  readonly expectedHitRate: number;
  /** Mean time of a load, and how much of it a minute has. */
  readonly loadMs: number;
  readonly loadMsPerMinute: number;
}

/** What {@link ttlAdvice} takes. */
export interface TtlAdviceOptions {
  /** Hits of 100 requests that are wanted, below 100. @defaultValue 70 */
  readonly hitRate?: number;
  /** Of a resource that was asked for less often nothing is said. @defaultValue 100 */
  readonly minRequests?: number;
  /** The time of the snapshot, milliseconds since the epoch. */
  readonly now: number;
}

/**
 * What `ttl` each resource needs for a hit rate, from the hit rate that was measured with the one it has.
 *
 * If requests of a key come by chance at a steady rate, and a miss makes the key fresh for `ttl`, then of the requests
 * `h = a / (1 + a)` are hits, where `a` is how many come within `ttl`. So `a = h / (1 - h)` was measured, and it grows as
 * `ttl` does. Where entries end by invalidation rather than by time, a longer `ttl` gives less than this says; where a few
 * keys get most of the requests, somewhat less. Measure again after a change. No resource is told to wait longer than a day.
 *
 * @returns One piece of advice for each resource that had enough requests, those that cost the most load time first.
 * @throws ArgumentError `INVALID_ARGUMENT` for a hit rate that is none.
 * @see Jung, Berger, Balakrishnan, Modeling TTL-based Internet caches (INFOCOM 2003)
 * @example
 * for (const { resource, ttlMs, advisedTtlMs } of ttlAdvice(cache.metrics(), { now: Date.now(), hitRate: 80 })) {
 *   if (advisedTtlMs > ttlMs) console.log(`${resource}: ttl ${advisedTtlMs} ms instead of ${ttlMs} ms`);
 * }
 */
export function ttlAdvice(snapshot: CacheMetricsSnapshot, options: TtlAdviceOptions): TtlAdvice[] {
  asArgument(() => assertKnownOptions('ttlAdvice', options, ['hitRate', 'minRequests', 'now']));
  const { hitRate: target = 70, minRequests = 100, now } = options;
  if (!(target > 0 && target < 100)) {
    throw new ArgumentError(`ttlAdvice: hitRate is a number between 0 and 100; got ${String(target)}`);
  }
  if (!Number.isFinite(now)) throw new ArgumentError(`ttlAdvice: now is a time in ms; got ${String(now)}`);
  const minutes = Math.max(now - snapshot.since, 1) / 60_000;
  const advice: TtlAdvice[] = [];
  for (const [resource, metrics] of Object.entries(snapshot.cache)) {
    const { ttlMs, hits, misses, hitRate, totalRequests, loadMs, loadTimes } = metrics;
    if (ttlMs === undefined || totalRequests < minRequests) continue;
    // Without a single miss, or a single hit, the true rate is not known; half a request is as good a guess as any.
    const within = Math.max(hits, 0.5) / Math.max(misses, 0.5);
    const wanted = target / (100 - target);
    const advisedTtlMs = roundedUp((ttlMs * wanted) / within);
    const expected = (within * advisedTtlMs) / ttlMs;
    const loads = loadTimes.reduce((sum, bucket) => sum + bucket.loads, 0);
    advice.push({
      resource,
      ttlMs,
      hitRate,
      advisedTtlMs,
      expectedHitRate: percent(expected, 1 + expected),
      loadMs: loads === 0 ? 0 : loadMs / loads,
      loadMsPerMinute: loadMs / minutes,
    });
  }
  return advice.sort((one, other) => other.loadMsPerMinute - one.loadMsPerMinute);
}

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
/** Times that one would write. */
const steps = [
  ...[1, 2, 5, 10, 15, 20, 30, 45].map((count) => count * second),
  ...[1, 2, 3, 5, 10, 15, 20, 30, 45].map((count) => count * minute),
  ...[1, 2, 3, 4, 6, 12, 24].map((count) => count * hour),
];

function roundedUp(ms: number): number {
  return steps.find((step) => step >= ms) ?? 24 * hour;
}
