import { type Cache, createCache, type RedisExecutor } from '@cachekit/core';
import { ioredisExecutor, type RedisTier, redisTier } from '@cachekit/redis';
import { startRedis } from '@cachekit/services';
import { Redis } from 'ioredis';

/** A server, and what reads it: a client, and a cache of ours over the same client that keeps nothing in memory. */
export interface WithRedis {
  readonly url: string;
  readonly raw: Redis;
  readonly redis: RedisExecutor;
  readonly tier: RedisTier;
  readonly cached: Cache;
}

/** Runs `use` beside a server of its own. Nothing gives up for the load of the machine. */
export async function withRedis<T>(use: (parts: WithRedis) => Promise<T>): Promise<T> {
  const server = await startRedis({ own: true });
  const raw = new Redis(server.url);
  const redis = ioredisExecutor(raw, { commandTimeout: '10s' });
  const tier = redisTier({ redis, coherence: 'ttl' });
  const cached = createCache({ memory: false, remote: tier, policy: { timeout: { hard: '10s' } } });
  try {
    return await use({ url: server.url, raw, redis, tier, cached });
  } finally {
    await cached.close();
    await redis.close();
    raw.disconnect();
    await server.stop();
  }
}
