import { type LoadTimeBucket, loadTimeBuckets, noLoadTimes, observeLoadTime } from './load-times.ts';

/** What was counted for one resource since the start or the last reset. */
export interface ResourceMetrics {
  /** Requests answered without waiting for a load, stale answers among them. */
  readonly hits: number;
  /** Requests that waited for a load. */
  readonly misses: number;
  /** Hits of 100 requests, with two decimals; 0 before the first request. */
  readonly hitRate: number;
  readonly totalRequests: number;
  /** Hits by the tier that answered. */
  readonly memoryHits: number;
  readonly remoteHits: number;
  /** Answers that were no longer fresh. */
  readonly staleServed: number;
  /** Loads that this process began, refreshes behind an answer among them. */
  readonly loads: number;
  readonly loadErrors: number;
  /** Time that finished loads took, together. */
  readonly loadMs: number;
  /** Finished loads by the time they took. */
  readonly loadTimes: readonly LoadTimeBucket[];
  /** Loads whose value was not stored, because something overtook them. */
  readonly refusedCommits: number;
  /** How long a value is fresh, by the policy of the resource; absent for `overall`. */
  readonly ttlMs?: number;
}

/** What `cache.metrics()` gives: per resource and over all of them. */
export interface CacheMetricsSnapshot {
  readonly cache: Readonly<Record<string, ResourceMetrics>> & { readonly overall: ResourceMetrics };
  readonly memory: {
    readonly entries: number;
    readonly maxEntries: number;
    /** What the entries take, about; absent where `memory.maxBytes` bounds nothing, because nobody counts then. */
    readonly bytes?: number;
    readonly maxBytes?: number;
    readonly evictions: number;
    /** Whether memory hears what others change; always without a remote tier. */
    readonly trusted: boolean;
  };
  /** Absent without a remote tier. */
  readonly remote?: {
    readonly tier: string;
    /** `down` while the breaker keeps reads away from the tier. */
    readonly state: 'up' | 'down';
    readonly failures: number;
  };
  /** Start of the count, milliseconds since the epoch. */
  readonly since: number;
}

/** The counters of one resource; plain numbers, so that counting costs an addition. */
export interface ResourceCounters {
  memoryHits: number;
  remoteHits: number;
  misses: number;
  staleServed: number;
  loads: number;
  loadErrors: number;
  loadMs: number;
  loadTimes: number[];
  refusedCommits: number;
}

/** Counts a load that ended well. */
export function countLoad(counters: ResourceCounters, durationMs: number): void {
  counters.loadMs += durationMs;
  observeLoadTime(counters.loadTimes, durationMs);
}

/** The counters of all resources of one cache. */
export class Metrics {
  since: number;
  remoteFailures = 0;

  readonly #resources = new Map<string, { readonly counters: ResourceCounters; readonly ttlMs: number }>();

  constructor(since: number) {
    this.since = since;
  }

  countersOf(resource: string, ttlMs: number): ResourceCounters {
    const known = this.#resources.get(resource);
    if (known !== undefined) return known.counters;
    const counters = noCounters();
    this.#resources.set(resource, { counters, ttlMs });
    return counters;
  }

  snapshot(): CacheMetricsSnapshot['cache'] {
    const sum = noCounters();
    const cache: Record<string, ResourceMetrics> = {};
    for (const [resource, { counters, ttlMs }] of this.#resources) {
      cache[resource] = { ...metricsOf(counters), ttlMs };
      add(sum, counters);
    }
    return { ...cache, overall: metricsOf(sum) };
  }

  reset(since: number): void {
    this.since = since;
    this.remoteFailures = 0;
    for (const { counters } of this.#resources.values()) Object.assign(counters, noCounters());
  }
}

function noCounters(): ResourceCounters {
  return {
    memoryHits: 0,
    remoteHits: 0,
    misses: 0,
    staleServed: 0,
    loads: 0,
    loadErrors: 0,
    loadMs: 0,
    loadTimes: noLoadTimes(),
    refusedCommits: 0,
  };
}

function add(sum: ResourceCounters, counters: ResourceCounters): void {
  sum.memoryHits += counters.memoryHits;
  sum.remoteHits += counters.remoteHits;
  sum.misses += counters.misses;
  sum.staleServed += counters.staleServed;
  sum.loads += counters.loads;
  sum.loadErrors += counters.loadErrors;
  sum.loadMs += counters.loadMs;
  sum.refusedCommits += counters.refusedCommits;
  for (const [bucket, loads] of counters.loadTimes.entries()) {
    sum.loadTimes[bucket] = (sum.loadTimes[bucket] ?? 0) + loads;
  }
}

function metricsOf({
  memoryHits,
  remoteHits,
  misses,
  loadTimes,
  ...rest
}: ResourceCounters): ResourceMetrics {
  const hits = memoryHits + remoteHits;
  const totalRequests = hits + misses;
  return {
    hits,
    misses,
    hitRate: percent(hits, totalRequests),
    totalRequests,
    memoryHits,
    remoteHits,
    ...rest,
    loadTimes: loadTimeBuckets(loadTimes),
  };
}

/** With two decimals; 0 of nothing. */
export function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round((part / whole) * 10_000) / 100;
}
