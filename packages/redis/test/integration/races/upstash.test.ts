import type { RemoteTier } from '@cachekit/core';
import { raceSuite } from '@cachekit/core/testing';
import { startRedis } from '@cachekit/services';
import { Redis as Upstash } from '@upstash/redis';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe } from 'vitest';
import { redisTier } from '../../../src/index.ts';
import { startUpstashServer, type UpstashServer } from '../../../src/testing/index.ts';
import { type UpstashLike, upstashExecutor } from '../../../src/upstash/index.ts';
import { type Observer, observe } from '../clients.ts';
import { proxiedStore } from './proxied.ts';

describe('over HTTP', () => {
  let redis: Awaited<ReturnType<typeof startRedis>>;
  let server: UpstashServer;
  let observer: Observer;

  beforeAll(async () => {
    redis = await startRedis({ own: true });
    observer = observe(redis.url);
    server = await startUpstashServer({ redis: new Redis(redis.url, { lazyConnect: true }) });
  });
  afterAll(async () => {
    await server.close();
    observer.disconnect();
    await redis.stop();
  });

  raceSuite(
    'redisTier() over Upstash',
    async () => {
      const gates = new Map<RemoteTier, Gated>();
      const store = await proxiedStore(
        [{ host: '127.0.0.1', port: Number(new URL(server.url).port) }],
        (through, namespace, commandTimeout) => {
          const [proxy] = Object.values(through);
          const client = new Gated(
            new Upstash({
              url: `http://127.0.0.1:${proxy?.port}`,
              token: server.token,
              automaticDeserialization: false,
              enableTelemetry: false,
              signal: () => AbortSignal.timeout(commandTimeout),
            }),
          );
          const tier = redisTier({ redis: upstashExecutor(client, { commandTimeout }), namespace });
          gates.set(tier, client);
          return { tier, close: async () => {} };
        },
        {
          write: async (key, text) => void (await observer.set(key, text)),
          remove: async (key) => void (await observer.del(key)),
          spoil: async (key) => void (await observer.lpush(key, 'x')),
        },
      );
      const { shared } = store;
      if (shared === undefined) return store;
      const open = async (timeoutMs: number) => {
        const { tier, link } = await shared.open(timeoutMs);
        const gate = gates.get(tier) as Gated;
        // Requests of both kinds take any connection, and each may end with its request: the client itself says which.
        const cut = () => {
          link.refuse();
          link.mend();
        };
        return {
          tier,
          link: { ...link, hold: () => gate.hold(), connections: () => gate.running, cutBus: cut },
        };
      };
      return { ...store, shared: { ...shared, open } };
    },
    { deafToForeign: 'only our own scripts append to the log' },
  );
});

/** A client whose answers to reads can be kept back, and which counts the calls that are under way. */
class Gated implements UpstashLike {
  running = 0;
  readonly #client: UpstashLike;
  #gate: Promise<void> | undefined;

  constructor(client: UpstashLike) {
    this.#client = client;
  }

  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = promise;
    return () => {
      this.#gate = undefined;
      resolve();
    };
  }

  readonly exec: UpstashLike['exec'] = async (command) => {
    this.running++;
    try {
      const answer = await this.#client.exec(command);
      if (command[0] === 'MGET') await this.#gate;
      return answer;
    } finally {
      this.running--;
    }
  };
}
