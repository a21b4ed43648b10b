import { createCache, defineKeys, resource } from '@cachekit/core';
import { startRedis } from '@cachekit/services';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { Redis } from 'ioredis';
import { expect, it, onTestFinished } from 'vitest';
import { ioredisExecutor, redisTier } from '../../src/index.ts';

it("PBX-8 a user's devices, and all call entries of a user whatever their parameters, are dropped without KEYS or SCAN, at the same cost however many there are", async () => {
  const server = await startRedis({ own: true });
  onTestFinished(() => server.stop());
  const namespace = uniqueNamespace();
  const keys = defineKeys({
    namespace,
    scope: 'tenant',
    resources: {
      devices: resource<string>({ ttl: '5m', tags: ['devices'] }),
      recentCalls: resource<number, { limit: number }>({ ttl: '1m', tags: ['calls'] }),
    },
  });
  const processOf = () => {
    const client = new Redis(server.url);
    const redis = ioredisExecutor(client, { commandTimeout: '5s' });
    const cache = createCache({ namespace, memory: false, remote: redisTier({ redis, namespace }) });
    const end = async () => {
      await cache.close();
      await redis.close();
      client.disconnect();
    };
    return { client, cache, end };
  };
  const limits = Array.from({ length: 500 }, (_, index) => index + 1);
  const users = ['ana', 'bia'];
  // What a process does on account of its own writes is no concern of the count.
  const filling = processOf();
  for (const tenant of users) {
    await filling.cache.set(keys.devices({ tenant }), 'phone');
    await Promise.all(limits.map((limit) => filling.cache.set(keys.recentCalls({ tenant, limit }), limit)));
  }
  await filling.end();

  const { client, cache, end } = processOf();
  onTestFinished(end);
  const found = async (tenant: string) => {
    const calls = await cache.getMany(limits.map((limit) => keys.recentCalls({ tenant, limit })));
    return {
      devices: await cache.get(keys.devices({ tenant })),
      calls: calls.filter((value) => value !== undefined).length,
    };
  };

  await client.config('RESETSTAT');
  await cache.invalidateTags(keys.tag('ana', 'calls'));
  await cache.invalidate(keys.devices({ tenant: 'bia' }));
  const commands = [...(await client.info('commandstats')).matchAll(/cmdstat_([a-z|]+):calls=(\d+)/g)];
  const calls = new Map(commands.map(([, name, count]) => [String(name), Number(count)]));
  for (const walking of ['keys', 'scan', 'flushdb', 'flushall']) expect(calls.has(walking)).toBe(false);
  // What is done does not grow with the number of entries.
  expect([...calls.values()].reduce((sum, count) => sum + count, 0)).toBeLessThan(30);

  expect(await found('ana')).toEqual({ devices: 'phone', calls: 0 });
  expect(await found('bia')).toEqual({ devices: undefined, calls: 500 });
});
