import type { RedisExecutor } from '@cachekit/core';
import { ioredisExecutor } from '@cachekit/redis';
import { Redis } from 'ioredis';
import { afterAll, inject } from 'vitest';

/** A connection to the Redis of the run, closed after the tests of the file, and an executor of its own over it. */
export function connect(): { readonly redis: RedisExecutor; readonly raw: Redis } {
  // The machine may be busy; what is tested here is not how fast it answers.
  const raw = new Redis(inject('redisUrl'), { lazyConnect: true });
  const redis = ioredisExecutor(raw, { commandTimeout: '10s' });
  afterAll(async () => {
    await redis.close();
    raw.disconnect();
  });
  return { redis, raw };
}
