import { createCache, defineKeys, type RedisExecutor, resource } from '@cachekit/core';
import { startSentinel } from '@cachekit/services';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { describe, expect, it } from 'vitest';
import { ioredisExecutor, redisTier } from '../../src/index.ts';
import { ioredis } from './clients.ts';
import { eventually } from './eventually.ts';

describe.each(ioredis)('a cache by Sentinel over $name', ({ sentinel }) => {
  it('the master dies: every read is answered, and then from the new master, with what others change', async () => {
    const servers = await startSentinel();
    const namespace = uniqueNamespace();
    const keys = defineKeys({
      namespace,
      scope: 'tenant',
      resources: { item: resource<number, { id: string }>({ ttl: '1m' }) },
    });
    const executors: RedisExecutor[] = [];
    const start = () => {
      const redis = ioredisExecutor(sentinel(servers.name, servers.sentinels), { commandTimeout: 500 });
      executors.push(redis);
      return createCache({ namespace, remote: redisTier({ redis, namespace }) });
    };
    const [here, there] = [start(), start()];
    const key = keys.item({ tenant: 'acme', id: 'a' });
    let database = 1;
    const read = (cache: typeof here) => cache.getOrLoad(key, async () => database);
    const held = async (cache: typeof here): Promise<unknown> => {
      await read(cache);
      return cache.peek(key);
    };
    try {
      for (const cache of [here, there]) await eventually(() => held(cache)).toBe(1);
      const dead = await servers.killMaster();
      // Never an error, whatever the state of the servers is; a value that nobody could invalidate is the old one.
      const promoted = servers.promoted(dead);
      let waiting = true;
      const reads = (async () => {
        while (waiting) {
          const fresh = keys.item({ tenant: 'acme', id: `${Math.random()}` });
          expect(await here.getOrLoad(fresh, async () => 7)).toBe(7);
          expect(await read(there)).toBe(1);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      })();
      await promoted;
      waiting = false;
      await reads;
      database = 2;
      const invalidated = (cache: typeof here): Promise<boolean> =>
        cache.invalidate(key).then(
          () => true,
          () => false,
        );
      await eventually(() => invalidated(here)).toBe(true);
      expect(await read(here)).toBe(2);
      await eventually(() => held(there)).toBe(2);
      await eventually(() => held(here)).toBe(2);
      database = 3;
      await eventually(() => invalidated(there)).toBe(true);
      await eventually(() => read(here)).toBe(3);
    } finally {
      await Promise.all([here.close(), there.close()]);
      await Promise.all(executors.map((redis) => redis.close()));
      await servers.stop();
    }
  }, 90_000);
});
