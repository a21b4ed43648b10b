import { ioredisExecutor } from '@cachekit/redis';
import { startRedisCluster, startSentinel } from '@cachekit/services';
import { Cluster, Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { createRateLimiter, fixedWindow, gcra, redisStore } from '../../src/index.ts';

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

test('Cluster: MOVED and ASK: while a slot moves to another master every check is counted there, once', async () => {
  const cluster = await startRedisCluster();
  await cluster.settled();
  const client = new Cluster([...cluster.nodes], { lazyConnect: true });
  const redis = ioredisExecutor(client, { commandTimeout: '10s' });
  const limit = 100_000;
  const limits = createRateLimiter({
    policies: { api: fixedWindow({ limit, window: '1h' }) },
    store: redisStore({ redis }),
    timeout: '10s',
    onUnavailable: 'throw',
  });
  const nodes = (await cluster.masters()).map(({ host, port }) => ({ port, node: new Redis(port, host) }));
  const answered = async (error: 'ASK' | 'MOVED'): Promise<number> => {
    const infos = await Promise.all(nodes.map(({ node }) => node.info('errorstats')));
    const counts = infos.map((info) =>
      Number(new RegExp(`errorstat_${error}:count=(\\d+)`).exec(info)?.[1] ?? 0),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  };
  let asked = 0;
  const ask = async (): Promise<void> => {
    const decision = await limits.consume({ api: [] }, { tenant: 'acme' });
    expect(decision.limits.api.remaining).toBe(limit - ++asked);
  };
  try {
    await ask();
    const [first] = nodes as [(typeof nodes)[0]];
    const key = (await Promise.all(nodes.map(({ node }) => node.keys('ck:l:*')))).flat()[0] as string;
    const slot = Number(await first.node.call('CLUSTER', 'KEYSLOT', key));
    const owned = await Promise.all(nodes.map(({ node }) => node.call('CLUSTER', 'COUNTKEYSINSLOT', slot)));
    const source = nodes[owned.indexOf(1)] as (typeof nodes)[0];
    const target = nodes.find((each) => each !== source) as (typeof nodes)[0];
    const idOf = async ({ node }: (typeof nodes)[0]) => String(await node.call('CLUSTER', 'MYID'));
    await target.node.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', await idOf(source));
    await source.node.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', await idOf(target));
    const [asksBefore, movesBefore] = [await answered('ASK'), await answered('MOVED')];
    await ask();
    await source.node.call('MIGRATE', '127.0.0.1', target.port, '', 0, 5_000, 'KEYS', key);
    for (let i = 0; i < 20; i++) await ask();
    expect(await answered('ASK')).toBeGreaterThan(asksBefore);
    const others = nodes.filter((each) => each !== target && each !== source);
    for (const { node } of [target, source, ...others]) {
      await node.call('CLUSTER', 'SETSLOT', slot, 'NODE', await idOf(target));
    }
    for (let i = 0; i < 20; i++) await ask();
    expect(await answered('MOVED')).toBeGreaterThan(movesBefore);
    expect(await target.node.call('CLUSTER', 'COUNTKEYSINSLOT', slot)).toBe(1);
  } finally {
    for (const { node } of nodes) node.disconnect();
    await redis.close();
    client.disconnect();
    await cluster.stop();
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
