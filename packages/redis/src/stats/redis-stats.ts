import {
  ConfigurationError,
  type RedisExecutor,
  type RedisStats,
  type RedisStatsSource,
} from '@cachekit/core';
import { type Info, numberOf, readInfo } from '../info.ts';

/**
 * Makes what asks Redis for its memory, clients and hit rate, for `metricsHandler` of `@cachekit/core/http`.
 *
 * Each call is one `INFO`, on a cluster one to each master: memory and clients are their sums, the share of memory that
 * is used is that of the fullest. Numbers that the server does not tell, as some hosted ones do not, are 0. It rejects if one
 * of them does not answer.
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
  return async () => statsOf(await readInfo(redis));
}

/** What the fields of `INFO` of all masters say. */
export function statsOf(infos: readonly Info[]): RedisStats {
  const sum = (name: string): number => infos.reduce((total, info) => total + (numberOf(info, name) || 0), 0);
  const usedMemoryBytes = sum('used_memory');
  const shares = infos.map(usedShare).filter((share) => share !== null);
  const hits = sum('keyspace_hits');
  const lookups = hits + sum('keyspace_misses');
  return {
    memory: {
      usedMemoryHuman: human(usedMemoryBytes),
      usedMemoryBytes,
      memoryUsagePercent: shares.length === 0 ? null : Math.max(...shares),
    },
    stats: {
      connectedClients: sum('connected_clients'),
      hitRate: lookups === 0 ? 0 : percent(hits, lookups),
    },
  };
}

function usedShare(info: Info): number | null {
  // Without a limit of its own the server may take what the machine has.
  const limit = numberOf(info, 'maxmemory') || numberOf(info, 'total_system_memory') || 0;
  return limit === 0 ? null : percent(numberOf(info, 'used_memory') || 0, limit);
}

/** As Redis writes it. */
function human(bytes: number): string {
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), 4);
  return power === 0 ? `${bytes}B` : `${(bytes / 1024 ** power).toFixed(2)}${'BKMGT'[power]}`;
}

/** Two decimals, as in the metrics of the cache. */
function percent(part: number, whole: number): number {
  return Math.round((part * 10_000) / whole) / 100;
}
