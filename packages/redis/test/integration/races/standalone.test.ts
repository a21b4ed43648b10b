import { raceSuite } from '@cachekit/core/testing';
import { startRedis } from '@cachekit/services';
import { afterAll, beforeAll, describe } from 'vitest';
import { ioredisExecutor, redisTier } from '../../../src/index.ts';
import { ioredis, type Observer, observe } from '../clients.ts';
import { proxiedStore } from './proxied.ts';

for (const { name, standalone } of ioredis) {
  for (const coherence of ['tracking', 'pubsub'] as const) {
    describe(`over ${name}`, () => {
      let server: Awaited<ReturnType<typeof startRedis>>;
      let observer: Observer;

      beforeAll(async () => {
        server = await startRedis({ own: true });
        observer = observe(server.url);
      });
      afterAll(async () => {
        observer.disconnect();
        await server.stop();
      });

      raceSuite(
        `redisTier() over ${name}, by ${coherence}`,
        () =>
          proxiedStore(
            [{ host: '127.0.0.1', port: server.port }],
            (through, namespace, commandTimeout) => {
              const [proxy] = Object.values(through);
              const client = standalone(`redis://127.0.0.1:${proxy?.port}`);
              const redis = ioredisExecutor(client, { commandTimeout });
              return { tier: redisTier({ redis, namespace, coherence }), close: () => redis.close() };
            },
            {
              write: async (key, text) => void (await observer.set(key, text)),
              remove: async (key) => void (await observer.del(key)),
              spoil: async (key) => void (await observer.lpush(key, 'x')),
            },
          ),
        coherence === 'pubsub' ? { deafToForeign: 'messages are sent by our own scripts' } : {},
      );
    });
  }
}
