import type { CacheMetricsSnapshot, ResourceMetrics } from '../metrics/metrics.ts';
import { type OpenMetricsSample, openMetricsFamily } from '../metrics/open-metrics-family.ts';
import type { RedisStats } from '../ports/redis-stats.ts';

/** The content type of {@link openMetrics}. */
export const openMetricsType = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

/**
 * The metrics of a cache in the text format that Prometheus and others scrape.
 *
 * Names begin with `cachekit_`; resources are labels; what is summed over all of them is left to the reader. Counters begin
 * at zero again after a reset, which is what a reader takes it for.
 *
 * @param redis - What Redis says of itself, if it was asked and answered.
 * @see OpenMetrics 1.0, https://prometheus.io/docs/specs/om/open_metrics_spec/
 * @example
 * const text = openMetrics(cache.metrics());
 */
export function openMetrics(snapshot: CacheMetricsSnapshot, redis?: RedisStats | null): string {
  const { overall: _, ...resources } = snapshot.cache;
  const each = Object.entries(resources);
  const perResource = (value: (metrics: ResourceMetrics) => number): OpenMetricsSample[] =>
    each.map(([resource, metrics]) => ['', { resource }, value(metrics)]);
  const families: string[] = [
    openMetricsFamily(
      'requests',
      'counter',
      'Requests by what answered: a tier, or the loader that was waited for.',
      [
        ...each.flatMap(([resource, { memoryHits, remoteHits, misses }]): OpenMetricsSample[] => [
          ['_total', { resource, answer: 'memory' }, memoryHits],
          ['_total', { resource, answer: 'remote' }, remoteHits],
          ['_total', { resource, answer: 'loader' }, misses],
        ]),
      ],
    ),
    counter(
      'stale_answers',
      'Answers that were no longer fresh.',
      perResource((metrics) => metrics.staleServed),
    ),
    counter(
      'loads',
      'Loads that began.',
      perResource((metrics) => metrics.loads),
    ),
    counter(
      'load_errors',
      'Loads that failed.',
      perResource((metrics) => metrics.loadErrors),
    ),
    counter(
      'refused_commits',
      'Loaded values that were not stored, because something overtook their load.',
      perResource((metrics) => metrics.refusedCommits),
    ),
    openMetricsFamily(
      'load_duration_seconds',
      'histogram',
      'Time that finished loads took.',
      each.flatMap(([resource, metrics]) => histogram(resource, metrics)),
    ),
    gauge('memory_entries', 'Entries in memory.', snapshot.memory.entries),
    ...(snapshot.memory.bytes === undefined
      ? []
      : [gauge('memory_size_bytes', 'What the entries in memory take, about.', snapshot.memory.bytes)]),
    counter('memory_evictions', 'Entries that made room for others.', [['', {}, snapshot.memory.evictions]]),
    gauge(
      'memory_trusted',
      'Whether memory hears what other processes change.',
      snapshot.memory.trusted ? 1 : 0,
    ),
  ];
  const { remote } = snapshot;
  if (remote !== undefined) {
    families.push(
      gauge('remote_up', 'Whether reads ask the remote tier.', remote.state === 'up' ? 1 : 0),
      counter('remote_failures', 'Calls that did not reach the remote tier.', [['', {}, remote.failures]]),
    );
  }
  if (redis) {
    const { memory, stats } = redis;
    families.push(
      gauge('redis_memory_used_bytes', 'Memory that Redis uses.', memory.usedMemoryBytes),
      gauge('redis_connected_clients', 'Clients connected to Redis.', stats.connectedClients),
      gauge('redis_hit_ratio', 'Look-ups in Redis that found a key.', stats.hitRate / 100),
    );
    if (memory.memoryUsagePercent !== null) {
      families.push(
        gauge(
          'redis_memory_usage_ratio',
          'Memory that Redis uses, of what it may use.',
          memory.memoryUsagePercent / 100,
        ),
      );
    }
  }
  return `${families.join('')}# EOF\n`;
}

function counter(name: string, help: string, samples: readonly OpenMetricsSample[]): string {
  return openMetricsFamily(
    name,
    'counter',
    help,
    samples.map(([, labels, value]) => ['_total', labels, value]),
  );
}

function gauge(name: string, help: string, value: number): string {
  return openMetricsFamily(name, 'gauge', help, [['', {}, value]]);
}

function histogram(resource: string, { loadTimes, loadMs }: ResourceMetrics): OpenMetricsSample[] {
  const samples: OpenMetricsSample[] = [];
  let loads = 0;
  for (const bucket of loadTimes) {
    loads += bucket.loads;
    const le = bucket.upToMs === null ? '+Inf' : String(bucket.upToMs / 1_000);
    samples.push(['_bucket', { resource, le }, loads]);
  }
  samples.push(['_count', { resource }, loads], ['_sum', { resource }, loadMs / 1_000]);
  return samples;
}
