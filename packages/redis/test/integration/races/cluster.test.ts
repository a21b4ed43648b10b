import type { RedisExecutor } from '@cachekit/core';
import { raceSuite } from '@cachekit/core/testing';
import { startRedisCluster } from '@cachekit/services';
import { afterAll, beforeAll, describe } from 'vitest';
import { ioredisExecutor, redisTier } from '../../../src/index.ts';
import { ioredis } from '../clients.ts';
import { proxiedStore } from './proxied.ts';

const [newest] = ioredis as [(typeof ioredis)[0] & object];

/** Each client and each way of coherence once; what they share is told apart on one server. */
for (const [{ name, cluster }, coherence] of [
  [newest, 'tracking'],
  [newest, 'pubsub'],
  [ioredis[1] as typeof newest, 'tracking'],
] as const) {
  describe(`Cluster over ${name}`, () => {
    let servers: Awaited<ReturnType<typeof startRedisCluster>>;
    let outside: RedisExecutor;

    beforeAll(async () => {
      servers = await startRedisCluster();
      outside = ioredisExecutor(cluster(servers.nodes), { commandTimeout: '10s' });
    }, 120_000);
    afterAll(async () => {
      await outside?.close();
      await servers?.stop();
    });

    raceSuite(
      `redisTier() on Cluster over ${name}, by ${coherence}`,
      () =>
        proxiedStore(
          servers.nodes,
          (through, namespace, commandTimeout) => {
            const redis = ioredisExecutor(cluster(Object.values(through), through), { commandTimeout });
            return { tier: redisTier({ redis, namespace, coherence }), close: () => redis.close() };
          },
          {
            write: async (key, text) => void (await outside.command('SET', key, text)),
            remove: async (key) => void (await outside.command('DEL', key)),
            spoil: async (key) => void (await outside.command('LPUSH', key, 'x')),
          },
        ),
      {
        failingLoads: 1_000,
        ...(coherence === 'pubsub' ? { deafToForeign: 'messages are sent by our own scripts' } : {}),
      },
    );
  });
}
