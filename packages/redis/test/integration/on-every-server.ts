import type { RedisExecutor } from '@cachekit/core';
import { startRedisCluster, startSentinel } from '@cachekit/services';
import { Redis as Upstash } from '@upstash/redis';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, inject } from 'vitest';
import { ioredisExecutor, type WakeUp } from '../../src/index.ts';
import { startUpstashServer, type UpstashServer } from '../../src/testing/index.ts';
import { upstashExecutor } from '../../src/upstash/index.ts';
import { ioredis } from './clients.ts';

/** One more process on the server: an executor with connections of its own, closed after the test. */
export type OpenExecutor = () => RedisExecutor;

const [ioredis6, ioredis5] = ioredis as [(typeof ioredis)[0] & object, (typeof ioredis)[0] & object];

/** What a suite gets: the server's name is part of the names of its tests, and `wakeUp` what its clients can. */
type Suite = (open: OpenExecutor, server: string, wakeUp: WakeUp) => void;

const commandTimeout = '10s';

/** Runs a suite on each kind of server, with each client that reaches it. */
export function onEveryServer(title: string, suite: Suite): void {
  describe(title, () => {
    for (const { name, standalone } of [ioredis6, ioredis5]) {
      on(
        `standalone over ${name}`,
        () => ioredisExecutor(standalone(inject('redisUrl')), { commandTimeout }),
        suite,
      );
    }

    describe('over HTTP', () => {
      let server: UpstashServer;
      beforeAll(async () => {
        server = await startUpstashServer({ redis: new Redis(inject('redisUrl'), { lazyConnect: true }) });
      });
      afterAll(() => server.close());
      const client = (): Upstash =>
        new Upstash({
          url: server.url,
          token: server.token,
          automaticDeserialization: false,
          enableTelemetry: false,
        });

      on('Upstash', () => upstashExecutor(client(), { commandTimeout }), suite, 'poll');
    });

    describe('with servers of their own', () => {
      let cluster: Awaited<ReturnType<typeof startRedisCluster>>;
      let sentinel: Awaited<ReturnType<typeof startSentinel>>;
      beforeAll(async () => {
        [cluster, sentinel] = await Promise.all([startRedisCluster(), startSentinel()]);
      }, 120_000);
      afterAll(async () => {
        await Promise.all([cluster?.stop(), sentinel?.stop()]);
      });

      for (const { name, cluster: client } of [ioredis6, ioredis5]) {
        on(`Cluster over ${name}`, () => ioredisExecutor(client(cluster.nodes), { commandTimeout }), suite);
      }
      // Both clients find a master in the same way, so that the older one is a matter of long runs.
      for (const { name, sentinel: client } of process.env.CACHEKIT_LONG
        ? [ioredis6, ioredis5]
        : [ioredis6]) {
        on(
          `Sentinel over ${name}`,
          () => ioredisExecutor(client(sentinel.name, sentinel.sentinels), { commandTimeout }),
          suite,
        );
      }
    });
  });
}

function on(server: string, executor: () => RedisExecutor, suite: Suite, wakeUp: WakeUp = 'pubsub'): void {
  describe(server, () => {
    const executors: RedisExecutor[] = [];
    afterEach(async () => {
      await Promise.all(executors.splice(0).map((redis) => redis.close()));
    });
    suite(
      () => {
        const redis = executor();
        executors.push(redis);
        return redis;
      },
      server,
      wakeUp,
    );
  });
}

/** The executor as it would be over a client that cannot subscribe, such as one over HTTP. */
export function withoutSubscriptions(redis: RedisExecutor): RedisExecutor {
  return {
    capabilities: { ...redis.capabilities, subscribe: false },
    command: (name, ...args) => redis.command(name, ...args),
    script: (script, keys, args) => redis.script(script, keys, args),
    scan: (prefix) => redis.scan(prefix),
    subscriber: () => {
      throw new Error('This client cannot subscribe');
    },
    close: () => redis.close(),
  };
}
