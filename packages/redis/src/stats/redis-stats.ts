import {
  ConfigurationError,
  type RedisExecutor,
  type RedisStats,
  type RedisStatsSource,
} from '@cachekit/core';
import { numberOf, parseInfo } from '../info.ts';

/**
 * Makes what asks Redis for its memory, clients and hit rate, for `metricsHandler` of `@cachekit/core/http`.
 *
 * Each call is one `INFO`. Numbers that the server does not tell, as some hosted ones do not, are 0; on a cluster they
 * are those of one master.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if `redis` is no executor.
 * @example
 * const redis = ioredisExecutor(new Redis(process.env.REDIS_URL ?? '', { lazyConnect: true }));
 * const metrics = metricsHandler(cache, { redis: redisStats(redis) });
 */
export function redisStats(redis: RedisExecutor): RedisStatsSource {
  if (typeof redis?.command !== 'function') {
    throw new ConfigurationError('redisStats: redis is no executor; give ioredisExecutor(client)');
  }
  return async () => statsOf(parseInfo(await redis.command('INFO')));
}

/** What the fields of `INFO` say. */
export function statsOf(info: ReadonlyMap<string, string>): RedisStats {
  const usedMemoryBytes = numberOf(info, 'used_memory') || 0;
  // Without a limit of its own the server may take what the machine has.
  const limit = numberOf(info, 'maxmemory') || numberOf(info, 'total_system_memory') || 0;
  const hits = numberOf(info, 'keyspace_hits') || 0;
  const lookups = hits + (numberOf(info, 'keyspace_misses') || 0);
  return {
    memory: {
      usedMemoryHuman: info.get('used_memory_human') ?? '0B',
      usedMemoryBytes,
      memoryUsagePercent: limit === 0 ? null : percent(usedMemoryBytes, limit),
    },
    stats: {
      connectedClients: numberOf(info, 'connected_clients') || 0,
      hitRate: lookups === 0 ? 0 : percent(hits, lookups),
    },
  };
}

/** Two decimals, as in the metrics of the cache. */
function percent(part: number, whole: number): number {
  return Math.round((part * 10_000) / whole) / 100;
}
