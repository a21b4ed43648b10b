import { raceSuite } from '@cachekit/core/testing';
import { startSentinel } from '@cachekit/services';
import { afterAll, beforeAll, describe } from 'vitest';
import { ioredisExecutor, redisTier } from '../../../src/index.ts';
import { ioredis, type Observer, observe } from '../clients.ts';
import { proxiedStore } from './proxied.ts';

for (const { name, sentinel } of ioredis) {
  describe(`Sentinel over ${name}`, () => {
    let servers: Awaited<ReturnType<typeof startSentinel>>;
    let observer: Observer;

    beforeAll(async () => {
      servers = await startSentinel();
      const { host, port } = await servers.master();
      observer = observe(`redis://${host}:${port}`);
    }, 120_000);
    afterAll(async () => {
      observer?.disconnect();
      await servers?.stop();
    });

    raceSuite(`redisTier() by Sentinel over ${name}`, () =>
      proxiedStore(
        servers.servers,
        (through, namespace, commandTimeout) => {
          const client = sentinel(servers.name, servers.sentinels, through);
          const redis = ioredisExecutor(client, { commandTimeout });
          return { tier: redisTier({ redis, namespace }), close: () => redis.close() };
        },
        {
          write: async (key, text) => void (await observer.set(key, text)),
          remove: async (key) => void (await observer.del(key)),
          spoil: async (key) => void (await observer.lpush(key, 'x')),
        },
      ),
    );
  });
}
