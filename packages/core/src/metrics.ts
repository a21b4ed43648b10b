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
  /** Loads whose value was not stored, because something overtook them. */
  readonly refusedCommits: number;
}

/** What `cache.metrics()` gives: per resource and over all of them. */
export interface CacheMetricsSnapshot {
  readonly cache: Readonly<Record<string, ResourceMetrics>> & { readonly overall: ResourceMetrics };
  readonly memory: {
    readonly entries: number;
    readonly maxEntries: number;
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
  refusedCommits: number;
}

/** The counters of all resources of one cache. */
export class Metrics {
  since: number;
  remoteFailures = 0;

  readonly #resources = new Map<string, ResourceCounters>();

  constructor(since: number) {
    this.since = since;
  }

  countersOf(resource: string): ResourceCounters {
    let counters = this.#resources.get(resource);
    if (counters === undefined) {
      counters = noCounters();
      this.#resources.set(resource, counters);
    }
    return counters;
  }

  snapshot(): CacheMetricsSnapshot['cache'] {
    const sum = noCounters();
    const names = Object.keys(sum) as (keyof ResourceCounters)[];
    const cache: Record<string, ResourceMetrics> = {};
    for (const [resource, counters] of this.#resources) {
      cache[resource] = metricsOf(counters);
      for (const name of names) sum[name] += counters[name];
    }
    return { ...cache, overall: metricsOf(sum) };
  }

  reset(since: number): void {
    this.since = since;
    this.remoteFailures = 0;
    for (const counters of this.#resources.values()) Object.assign(counters, noCounters());
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
    refusedCommits: 0,
  };
}

function metricsOf(counters: ResourceCounters): ResourceMetrics {
  const hits = counters.memoryHits + counters.remoteHits;
  const totalRequests = hits + counters.misses;
  return {
    hits,
    misses: counters.misses,
    hitRate: totalRequests === 0 ? 0 : Math.round((hits / totalRequests) * 10_000) / 100,
    totalRequests,
    memoryHits: counters.memoryHits,
    remoteHits: counters.remoteHits,
    staleServed: counters.staleServed,
    loads: counters.loads,
    loadErrors: counters.loadErrors,
    loadMs: counters.loadMs,
    refusedCommits: counters.refusedCommits,
  };
}
