import type { RemoteTier } from '@cachekit/core';
import { type RemoteTierFixture, remoteTierSuite } from '@cachekit/core/testing';
import { startRedisCluster } from '@cachekit/services';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { afterAll, beforeAll, describe, inject } from 'vitest';
import { type IoRedisLike, ioredisExecutor, redisTier } from '../../src/index.ts';
import { ioredis } from './clients.ts';

/** Each tier of the suite is a process with connections of its own. */
async function fixture(client: () => IoRedisLike, coherence?: 'pubsub' | 'ttl'): Promise<RemoteTierFixture> {
  const namespace = uniqueNamespace();
  const executor = () => ioredisExecutor(client(), { commandTimeout: '10s' });
  const outside = executor();
  const executors = [outside];
  return {
    namespace,
    open(): RemoteTier {
      const redis = executor();
      executors.push(redis);
      return redisTier({ redis, namespace, ...(coherence === undefined ? {} : { coherence }) });
    },
    async write(key, text) {
      await outside.command('SET', key, text);
    },
    async evict(key) {
      await outside.command('DEL', key);
    },
    async close() {
      await Promise.all(executors.map((redis) => redis.close()));
    },
  };
}

for (const { name, standalone } of ioredis) {
  remoteTierSuite(`redisTier() over ${name}`, () => fixture(() => standalone(inject('redisUrl'))));
}

remoteTierSuite('redisTier() by pubsub', () => {
  const [client] = ioredis as [(typeof ioredis)[0] & object];
  return fixture(() => client.standalone(inject('redisUrl')), 'pubsub');
});

remoteTierSuite('redisTier() without push', () => {
  const [client] = ioredis as [(typeof ioredis)[0] & object];
  return fixture(() => client.standalone(inject('redisUrl')), 'ttl');
});

describe('on Redis Cluster', () => {
  let servers: Awaited<ReturnType<typeof startRedisCluster>>;

  beforeAll(async () => {
    servers = await startRedisCluster();
  }, 120_000);
  afterAll(() => servers.stop());

  for (const { name, cluster } of ioredis) {
    remoteTierSuite(`redisTier() over ${name}`, () => fixture(() => cluster(servers.nodes)));
  }
});
