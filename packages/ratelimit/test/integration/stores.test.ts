import type { RedisExecutor } from '@cachekit/core';
import { ioredisExecutor } from '@cachekit/redis';
import { startUpstashServer } from '@cachekit/redis/testing';
import { upstashExecutor } from '@cachekit/redis/upstash';
import { startRedisCluster, startSentinel } from '@cachekit/services';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { Redis as Upstash } from '@upstash/redis';
import { Cluster, Redis } from 'ioredis';
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis-5';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import {
  createRateLimiter,
  fixedWindow,
  gcra,
  memoryStore,
  redisStore,
  slidingWindow,
} from '../../src/index.ts';
import { type StoreUnderTest, storeSuite } from './store-suite.ts';

type Client = Redis | Redis5 | Cluster | Cluster5;

/** Stores over one executor, and what stands in its Redis. */
function over(redis: RedisExecutor): StoreUnderTest {
  return {
    store: (namespace) => redisStore({ redis, namespace }),
    async ttls(namespace) {
      const found = new Map<string, number>();
      for await (const keys of redis.scan(`${namespace}:`)) {
        for (const key of keys) {
          const ttl = Number(await redis.command('PTTL', key));
          // One that ended since it was listed has no end to look at.
          if (ttl !== -2) found.set(key, ttl);
        }
      }
      return found;
    },
  };
}

// The machine may be busy; what is tested here is not how fast it answers.
const commandTimeout = '10s';

function overClient(client: Client): { redis: RedisExecutor; close(): Promise<void> } {
  const redis = ioredisExecutor(client as Redis, { commandTimeout });
  return {
    redis,
    async close() {
      await redis.close();
      client.disconnect();
    },
  };
}

/** Runs the suite over what `start` gives. */
function suiteOver(
  title: string,
  start: () => Promise<{ redis: RedisExecutor; close(): Promise<void> }>,
): void {
  describe(title, () => {
    let started: Awaited<ReturnType<typeof start>>;
    beforeAll(async () => {
      started = await start();
    });
    afterAll(() => started.close());
    storeSuite('a store', () => over(started.redis));
  });
}

describe('in this process', () => {
  const stores = new Map<string, ReturnType<typeof memoryStore>>();
  storeSuite('memoryStore()', () => ({
    store(namespace) {
      const store = stores.get(namespace) ?? memoryStore();
      stores.set(namespace, store);
      return store;
    },
  }));
});

suiteOver('Redis by ioredis 6', async () => overClient(new Redis(inject('redisUrl'), { lazyConnect: true })));
suiteOver('Redis by ioredis 5', async () =>
  overClient(new Redis5(inject('redisUrl'), { lazyConnect: true })),
);
if (process.env.CACHEKIT_LONG) {
  suiteOver('Redis by Sentinel', async () => {
    const sentinel = await startSentinel();
    const sentinels = [...sentinel.sentinels];
    const { redis, close } = overClient(new Redis({ name: sentinel.name, sentinels, lazyConnect: true }));
    return {
      redis,
      async close() {
        await close();
        await sentinel.stop();
      },
    };
  });
}
suiteOver('Redis over the REST protocol of Upstash', async () => {
  const client = new Redis(inject('redisUrl'), { lazyConnect: true });
  const server = await startUpstashServer({ redis: client });
  const rest = new Upstash({ url: server.url, token: server.token, automaticDeserialization: false });
  const redis = upstashExecutor(rest, { commandTimeout });
  return {
    redis,
    async close() {
      await redis.close();
      await server.close();
      client.disconnect();
    },
  };
});

describe('Redis Cluster', () => {
  let cluster: Awaited<ReturnType<typeof startRedisCluster>>;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster.stop());
  suiteOver('by ioredis 6', async () => overClient(new Cluster([...cluster.nodes], { lazyConnect: true })));
  if (process.env.CACHEKIT_LONG) {
    suiteOver('by ioredis 5', async () =>
      overClient(new Cluster5([...cluster.nodes], { lazyConnect: true })),
    );
  }

  describe('keys in several slots (scenario 15)', () => {
    let spread: ReturnType<typeof overClient>;
    beforeAll(() => {
      spread = overClient(new Cluster([...cluster.nodes], { lazyConnect: true }));
    });
    afterAll(() => spread.close());
    const limiter = () =>
      createRateLimiter({
        policies: {
          user: gcra({ limit: 3, window: '1m' }),
          strict: slidingWindow({ limit: 5, window: '1m' }),
          commands: fixedWindow({ limit: 10, window: '60s' }),
        },
        store: over(spread.redis).store(uniqueNamespace()),
        timeout: '10s',
        onUnavailable: 'throw',
      });

    test('are one decision that says it was not one instant, and gives back what a later no makes void', async () => {
      for (let i = 0; i < 30; i++) {
        const limits = limiter();
        const ids = { commands: [`d${i}`], strict: [`s${i}`], user: [`u${i}`] };
        const passed = await limits.consume(ids, { cost: 3 });
        expect(passed).toMatchObject({ allowed: true, source: 'redis', atomic: false });
        const denied = await limits.consume(ids);
        expect(denied).toMatchObject({ allowed: false, violated: ['user'], atomic: false });
        await limits.reset({ user: [`u${i}`] });
        const strictDenies = await limits.consume(ids, { cost: 3 });
        expect(strictDenies).toMatchObject({
          allowed: false,
          violated: ['strict'],
          limits: { user: { remaining: 3 }, commands: { remaining: undefined } },
        });
        expect(await limits.peek(ids)).toMatchObject({
          limits: { user: { remaining: 3 }, strict: { remaining: 2 }, commands: { remaining: 7 } },
        });
      }
    });

    test('40 of 40 requests with cost pass, and refunds and reservations reach every slot', async () => {
      const limits = limiter();
      const asked = Array.from({ length: 40 }, (_, i) =>
        limits.reserve({ user: [i], commands: [i] }, { cost: 2 }),
      );
      const reservations = await Promise.all(asked);
      expect(reservations.every(({ decision }) => decision.allowed)).toBe(true);
      await Promise.all(reservations.map((reservation) => reservation.commit(1)));
      const looks = await Promise.all(
        Array.from({ length: 40 }, (_, i) => limits.peek({ user: [i], commands: [i] })),
      );
      for (const { limits: each } of looks) {
        expect(each).toMatchObject({ user: { remaining: 2 }, commands: { remaining: 9 } });
      }
    });
  });
});
