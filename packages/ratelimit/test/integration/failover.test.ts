import { ioredisExecutor } from '@cachekit/redis';
import { startRedisCluster, startSentinel } from '@cachekit/services';
import { Cluster, Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { createRateLimiter, gcra, redisStore } from '../../src/index.ts';

// Two shared cores: the promise is the timeout, the rest is patience with the machine.
const patienceMs = 150 + 400;

function limiterOver(client: Redis | Cluster) {
  const redis = ioredisExecutor(client);
  const limits = createRateLimiter({
    policies: { api: gcra({ limit: 5, window: '10m' }) },
    store: redisStore({ redis }),
  });
  const ask = async (id: string) => {
    const began = performance.now();
    const decision = await limits.consume({ api: [id] });
    expect(performance.now() - began).toBeLessThan(patienceMs);
    return decision;
  };
  const close = async () => {
    await redis.close();
    client.disconnect();
  };
  return { ask, close, metrics: () => limits.metrics() };
}

test('Sentinel: while the master is replaced every check is answered in time, and the new master counts on', async () => {
  const sentinel = await startSentinel();
  const client = new Redis({ name: sentinel.name, sentinels: [...sentinel.sentinels], lazyConnect: true });
  const { ask, close } = limiterOver(client);
  try {
    await expect.poll(async () => (await ask('warm')).source, { timeout: 10_000 }).toBe('redis');
    const former = await sentinel.killMaster();
    let locally = 0;
    for (const end = performance.now() + 500; performance.now() < end; ) {
      if ((await ask('meanwhile')).source === 'local') locally++;
    }
    expect(locally).toBeGreaterThan(0);
    await sentinel.promoted(former);
    await expect.poll(async () => (await ask('after')).source, { timeout: 20_000 }).toBe('redis');
  } finally {
    await close();
    await sentinel.stop();
  }
}, 60_000);

if (process.env.CACHEKIT_LONG) {
  test('Cluster: a dead master takes only its own slots away, until its replica counts them', async () => {
    const cluster = await startRedisCluster();
    const client = new Cluster([...cluster.nodes], { lazyConnect: true });
    const { ask, close } = limiterOver(client);
    try {
      await expect.poll(async () => (await ask('warm')).source, { timeout: 10_000 }).toBe('redis');
      const [dead] = await cluster.masters();
      await cluster.kill(dead?.port ?? 0, 'SIGSTOP');
      const sources = new Set<string>();
      for (let i = 0; i < 60; i++) sources.add((await ask(`id ${i}`)).source);
      expect([...sources].sort()).toEqual(['local', 'redis']);
      await cluster.kill(dead?.port ?? 0, 'SIGKILL');
      await cluster.failedOver(dead?.port ?? 0);
      await expect
        .poll(
          async () => {
            const decisions = await Promise.all(Array.from({ length: 60 }, (_, i) => ask(`later ${i}`)));
            return decisions.every(({ source }) => source === 'redis');
          },
          { timeout: 20_000 },
        )
        .toBe(true);
    } finally {
      await close();
      await cluster.stop();
    }
  }, 90_000);
}
