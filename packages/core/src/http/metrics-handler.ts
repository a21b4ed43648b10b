import type { Cache } from '../cache/cache.ts';
import { assertKnownOptions, ConfigurationError } from '../errors.ts';
import type { RedisStats, RedisStatsSource } from '../ports/redis-stats.ts';
import { openMetrics, openMetricsType } from './open-metrics.ts';

/** What {@link metricsHandler} takes besides the cache. */
export interface MetricsHandlerOptions {
  /** Asks Redis, at every `GET`; what it says stands under `redis`. @defaultValue nobody is asked */
  readonly redis?: RedisStatsSource;
}

/**
 * Makes a fetch-style handler for the metrics of a cache: `GET` gives them as JSON, or as OpenMetrics text to who accepts
 * that, `DELETE` sets them to zero.
 *
 * With `redis` the JSON has a member of that name, which is `null` while Redis does not answer. It lets in everybody; put
 * your own authentication before it.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for unknown options.
 * @example
 * const metrics = metricsHandler(cache);
 * const response = await metrics(new Request('http://localhost/api/v1/cache/metrics'));
 */
export function metricsHandler(
  cache: Pick<Cache, 'metrics' | 'resetMetrics'>,
  options: MetricsHandlerOptions = {},
): (request: Request) => Promise<Response> {
  assertKnownOptions('metricsHandler', options, ['redis']);
  const { redis } = options;
  if (redis !== undefined && typeof redis !== 'function') {
    throw new ConfigurationError(`metricsHandler: redis is a function; got ${String(redis)}`);
  }
  return async (request) => {
    if (request.method === 'GET') {
      const stats = redis && (await answerOf(redis));
      const inText = request.headers.get('Accept')?.includes('application/openmetrics-text') ?? false;
      const headers = { 'Cache-Control': 'no-store', Vary: 'Accept' };
      if (inText) {
        return new Response(openMetrics(cache.metrics(), stats), {
          headers: { ...headers, 'Content-Type': openMetricsType },
        });
      }
      return Response.json({ ...cache.metrics(), ...(redis && { redis: stats }) }, { headers });
    }
    if (request.method !== 'DELETE') {
      return new Response(null, { status: 405, headers: { Allow: 'GET, DELETE' } });
    }
    cache.resetMetrics();
    return new Response(null, { status: 204 });
  };
}

async function answerOf(redis: RedisStatsSource): Promise<RedisStats | null> {
  try {
    return await redis();
  } catch {
    return null;
  }
}
