import type { RedisExecutor } from '@cachekit/core';
import { startRedisCluster, startSentinel } from '@cachekit/services';
import { afterAll, afterEach, beforeAll, describe, inject } from 'vitest';
import { type IoRedisLike, ioredisExecutor } from '../../src/index.ts';
import { ioredis } from './clients.ts';

/** One more process on the server: an executor with connections of its own, closed after the test. */
export type OpenExecutor = () => RedisExecutor;

const [ioredis6, ioredis5] = ioredis as [(typeof ioredis)[0] & object, (typeof ioredis)[0] & object];

/** Runs a suite on each kind of server, with each client that reaches it. */
export function onEveryServer(title: string, suite: (open: OpenExecutor, server: string) => void): void {
  describe(title, () => {
    for (const { name, standalone } of [ioredis6, ioredis5]) {
      on(`standalone over ${name}`, () => standalone(inject('redisUrl')), suite);
    }

    describe('with servers of their own', () => {
      let cluster: Awaited<ReturnType<typeof startRedisCluster>>;
      let sentinel: Awaited<ReturnType<typeof startSentinel>>;
      beforeAll(async () => {
        [cluster, sentinel] = await Promise.all([startRedisCluster(), startSentinel()]);
      }, 120_000);
      afterAll(async () => {
        await Promise.all([cluster?.stop(), sentinel?.stop()]);
      });

      on(`Cluster over ${ioredis6.name}`, () => ioredis6.cluster(cluster.nodes), suite);
      on(`Cluster over ${ioredis5.name}`, () => ioredis5.cluster(cluster.nodes), suite);
      on(`Sentinel over ${ioredis6.name}`, () => ioredis6.sentinel(sentinel.name, sentinel.sentinels), suite);
    });
  });
}

function on(
  server: string,
  client: () => IoRedisLike,
  suite: (open: OpenExecutor, server: string) => void,
): void {
  describe(server, () => {
    const executors: RedisExecutor[] = [];
    afterEach(async () => {
      await Promise.all(executors.splice(0).map((redis) => redis.close()));
    });
    suite(() => {
      const redis = ioredisExecutor(client(), { commandTimeout: '10s' });
      executors.push(redis);
      return redis;
    }, server);
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
