import type { ResourceMetrics } from '@cachekit/core';
import type { Crm } from './wiring.ts';

/** What some work of one instance took, by the counters of its cache and of its executors. */
export interface Cost {
  readonly queries: number;
  /** To Redis. */
  readonly roundTrips: number;
  readonly memoryHits: number;
  readonly remoteHits: number;
  readonly misses: number;
  readonly tookMs: number;
}

export async function costOf({ cache, asked }: Crm, work: () => Promise<unknown>): Promise<Cost> {
  const readings = () => ({
    ...cache.metrics().cache.overall,
    queries: asked.sql.queries,
    roundTrips: asked.redis.roundTrips,
  });
  const before = readings();
  const began = performance.now();
  await work();
  const tookMs = performance.now() - began;
  const after = readings();
  return {
    queries: after.queries - before.queries,
    roundTrips: after.roundTrips - before.roundTrips,
    memoryHits: after.memoryHits - before.memoryHits,
    remoteHits: after.remoteHits - before.remoteHits,
    misses: after.misses - before.misses,
    tookMs,
  };
}

/** The counters of a resource, or of all, over several instances. */
export interface Counted
  extends Pick<ResourceMetrics, 'memoryHits' | 'remoteHits' | 'misses' | 'totalRequests' | 'hitRate'> {
  /** Absent for all. */
  readonly ttlMs?: number | undefined;
}

/** What the caches of several instances counted together, by resource and `overall`. */
export function countedBy(crms: readonly Crm[]): ReadonlyMap<string, Counted> {
  const sums = new Map<string, Counted>();
  const last = ([resource]: readonly [string, unknown]): number => Number(resource === 'overall');
  for (const [resource, one] of crms
    .flatMap(({ cache }) => Object.entries(cache.metrics().cache))
    .sort((a, b) => last(a) - last(b))) {
    const sum = sums.get(resource);
    const memoryHits = one.memoryHits + (sum?.memoryHits ?? 0);
    const remoteHits = one.remoteHits + (sum?.remoteHits ?? 0);
    const misses = one.misses + (sum?.misses ?? 0);
    const hits = memoryHits + remoteHits;
    const totalRequests = hits + misses;
    const hitRate = totalRequests === 0 ? 0 : (100 * hits) / totalRequests;
    sums.set(resource, { memoryHits, remoteHits, misses, totalRequests, hitRate, ttlMs: one.ttlMs });
  }
  return sums;
}
