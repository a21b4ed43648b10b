import { ioredisExecutor } from '@cachekit/redis';
import { startRedisCluster } from '@cachekit/services';
import { Cluster } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRateLimiter, fixedWindow, gcra, type RateLimiter, redisStore } from '../../src/index.ts';

let limits: RateLimiter<'user' | 'commands'>;
let close: () => Promise<void> = async () => {};

beforeAll(async () => {
  const cluster = await startRedisCluster();
  const client = new Cluster([...cluster.nodes], { lazyConnect: true });
  const redis = ioredisExecutor(client, { commandTimeout: '10s' });
  close = async () => {
    await redis.close();
    client.disconnect();
    await cluster.stop();
  };
  limits = createRateLimiter({
    policies: { user: gcra({ limit: 3, window: '1m' }), commands: fixedWindow({ limit: 10, window: '60s' }) },
    store: redisStore({ redis }),
    timeout: '10s',
    onUnavailable: 'throw',
  });
});
afterAll(() => close());

describe('on a Redis Cluster', () => {
  test('several policies of one tenant are one decision, whatever their ids are', async () => {
    for (let i = 0; i < 50; i++) {
      const ids = { user: [`u{${i}}`], commands: [`d}${i}{`] };
      const decision = await limits.consume(ids, { tenant: `tenant {${i}}`, cost: 3 });
      expect(decision).toMatchObject({ allowed: true, source: 'redis', limits: { user: { remaining: 0 } } });
      expect(await limits.consume(ids, { tenant: `tenant {${i}}` })).toMatchObject({
        allowed: false,
        violated: ['user'],
        limits: { commands: { remaining: 7 } },
      });
    }
  });

  test('one policy needs no tenant, and ids spread over the slots', async () => {
    for (let i = 0; i < 50; i++) {
      expect(await limits.consume({ user: [i] })).toMatchObject({ allowed: true, source: 'redis' });
    }
  });

  test('several policies without a tenant are refused before anything is sent', async () => {
    await expect(limits.consume({ user: ['u1'], commands: ['d1'] })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('tenant'),
    });
  });
});
