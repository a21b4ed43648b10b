import type { Cache } from '../cache/cache.ts';
import type { CacheListener } from '../cache/cache-events.ts';
import { assertKnownOptions } from '../errors.ts';
import { loadTimeBounds } from '../metrics/load-times.ts';
import type { ResourceMetrics } from '../metrics/metrics.ts';
import type { RedisStats, RedisStatsSource } from '../ports/redis-stats.ts';

/** Says what a measurement is of. */
export interface MeasurementOptionsLike {
  description?: string;
  unit?: string;
  advice?: { explicitBucketBoundaries?: number[] };
}

/** The part of a histogram of OpenTelemetry that is used. */
export interface HistogramLike {
  record(value: number, attributes?: Record<string, string>): void;
}

/** What observes several measurements at once. */
export interface ObservationsLike {
  // biome-ignore lint/suspicious/noExplicitAny: the observable is handed back to who made it, and only the meter knows its type
  observe(observable: any, value: number, attributes?: Record<string, string>): void;
}

/** The part of a `Meter` of `@opentelemetry/api` that is used. */
export interface MeterLike {
  createHistogram(name: string, options?: MeasurementOptionsLike): HistogramLike;
  createObservableCounter(name: string, options?: MeasurementOptionsLike): object;
  createObservableGauge(name: string, options?: MeasurementOptionsLike): object;
  addBatchObservableCallback(
    callback: (observations: ObservationsLike) => void | Promise<void>,
    // biome-ignore lint/suspicious/noExplicitAny: as above
    observables: any[],
  ): void;
  removeBatchObservableCallback(
    callback: (observations: ObservationsLike) => void | Promise<void>,
    // biome-ignore lint/suspicious/noExplicitAny: as above
    observables: any[],
  ): void;
}

/** What {@link openTelemetryMetrics} takes besides the meter and the cache. */
export interface OpenTelemetryOptions {
  /** Asks Redis whenever the meter collects. @defaultValue nobody is asked */
  readonly redis?: RedisStatsSource;
}

/**
 * Gives the metrics of a cache to a meter of OpenTelemetry.
 *
 * The counters are read when the meter collects; only the duration of a load is recorded when it ends.
 *
 * | name                                | unit        | attributes                                        |
 * | ----------------------------------- | ----------- | ------------------------------------------------- |
 * | `cachekit.requests`                 | `{request}` | `resource`, `answer`: `memory`, `remote`, `loader` |
 * | `cachekit.stale_answers`            | `{request}` | `resource`                                        |
 * | `cachekit.load.errors`              | `{load}`    | `resource`                                        |
 * | `cachekit.load.duration`            | `s`         | `resource`                                        |
 * | `cachekit.memory.entries`           | `{entry}`   |                                                   |
 * | `cachekit.memory.size`              | `By`        |                                                   |
 * | `cachekit.memory.evictions`         | `{entry}`   |                                                   |
 * | `cachekit.remote.failures`          | `{call}`    |                                                   |
 * | `cachekit.redis.memory.used`        | `By`        |                                                   |
 * | `cachekit.redis.memory.utilization` | `1`         |                                                   |
 * | `cachekit.redis.clients`            | `{client}`  |                                                   |
 *
 * Every measurement has the attribute `namespace` besides. Do not reset the metrics of the cache beside it: to a meter a
 * counter that goes back is a process that began anew.
 *
 * @param meter - Such as `metrics.getMeter('cachekit')` of `@opentelemetry/api`.
 * @returns The function that ends it.
 * @throws ConfigurationError `INVALID_CONFIGURATION` for unknown options.
 */
export function openTelemetryMetrics(
  meter: MeterLike,
  cache: Pick<Cache, 'namespace' | 'metrics' | 'on' | 'off'>,
  options: OpenTelemetryOptions = {},
): () => void {
  assertKnownOptions('openTelemetryMetrics', options, ['redis']);
  const { redis } = options;
  const namespace = { namespace: cache.namespace };
  const observables: object[] = [];
  const counter = (name: string, unit: string, description: string) => {
    const made = meter.createObservableCounter(`cachekit.${name}`, { unit, description });
    observables.push(made);
    return made;
  };
  const gauge = (name: string, unit: string, description: string) => {
    const made = meter.createObservableGauge(`cachekit.${name}`, { unit, description });
    observables.push(made);
    return made;
  };
  const requests = counter('requests', '{request}', 'Requests by what answered.');
  const stale = counter('stale_answers', '{request}', 'Answers that were no longer fresh.');
  const loadErrors = counter('load.errors', '{load}', 'Loads that failed.');
  const entries = gauge('memory.entries', '{entry}', 'Entries in memory.');
  const bytes = gauge('memory.size', 'By', 'What the entries in memory take, where it is bounded.');
  const evictions = counter('memory.evictions', '{entry}', 'Entries that made room for others.');
  const failures = counter('remote.failures', '{call}', 'Calls that did not reach the remote tier.');
  const redisMemory = redis && gauge('redis.memory.used', 'By', 'Memory that Redis uses.');
  const redisUse = redis && gauge('redis.memory.utilization', '1', 'Memory that Redis uses, of what it may.');
  const redisClients = redis && gauge('redis.clients', '{client}', 'Clients connected to Redis.');

  const collect = async (observations: ObservationsLike): Promise<void> => {
    const { cache: counted, memory, remote } = cache.metrics();
    for (const [resource, metrics] of Object.entries(counted)) {
      if (resource !== 'overall') observeResource(observations, { ...namespace, resource }, metrics);
    }
    observations.observe(entries, memory.entries, namespace);
    if (memory.bytes !== undefined) observations.observe(bytes, memory.bytes, namespace);
    observations.observe(evictions, memory.evictions, namespace);
    if (remote !== undefined) observations.observe(failures, remote.failures, namespace);
    const stats = redis && (await redis().catch(() => undefined));
    if (stats) observeRedis(observations, stats);
  };
  const observeResource = (
    observations: ObservationsLike,
    attributes: { readonly namespace: string; readonly resource: string },
    { memoryHits, remoteHits, misses, staleServed, loadErrors: failed }: ResourceMetrics,
  ): void => {
    observations.observe(requests, memoryHits, { ...attributes, answer: 'memory' });
    observations.observe(requests, remoteHits, { ...attributes, answer: 'remote' });
    observations.observe(requests, misses, { ...attributes, answer: 'loader' });
    observations.observe(stale, staleServed, attributes);
    observations.observe(loadErrors, failed, attributes);
  };
  const observeRedis = (observations: ObservationsLike, { memory, stats }: RedisStats): void => {
    observations.observe(redisMemory, memory.usedMemoryBytes, namespace);
    observations.observe(redisClients, stats.connectedClients, namespace);
    if (memory.memoryUsagePercent === null) return;
    observations.observe(redisUse, memory.memoryUsagePercent / 100, namespace);
  };
  meter.addBatchObservableCallback(collect, observables);

  const durations = meter.createHistogram('cachekit.load.duration', {
    unit: 's',
    description: 'Time that finished loads took.',
    advice: { explicitBucketBoundaries: loadTimeBounds.map((bound) => bound / 1_000) },
  });
  const loaded: CacheListener<'load'> = ({ resource, durationMs }) => {
    durations.record(durationMs / 1_000, { ...namespace, resource });
  };
  cache.on('load', loaded);
  return () => {
    cache.off('load', loaded);
    meter.removeBatchObservableCallback(collect, observables);
  };
}
