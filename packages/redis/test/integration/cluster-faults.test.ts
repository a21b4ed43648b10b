import {
  type Cache,
  createCache,
  defineKeys,
  namespaceTag,
  type RedisExecutor,
  resource,
} from '@cachekit/core';
import { startRedisCluster } from '@cachekit/services';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ioredisExecutor, redisTier } from '../../src/index.ts';
import { ioredis, observe } from './clients.ts';
import { ClusterSlots } from './cluster-slots.ts';
import { eventually } from './eventually.ts';
import { Promises, type Subject } from './promises.ts';

describe.each(ioredis)('a cache on Redis Cluster over $name', ({ cluster }) => {
  let servers: Awaited<ReturnType<typeof startRedisCluster>>;
  let slots: ClusterSlots;
  let namespace: string;
  let keys: ReturnType<typeof keysOf>;
  let caches: Cache[];
  let executors: RedisExecutor[];

  beforeAll(async () => {
    servers = await startRedisCluster();
  }, 120_000);
  afterAll(() => servers?.stop());

  beforeEach(async () => {
    await servers.settled();
    slots = await ClusterSlots.of(servers);
    namespace = uniqueNamespace();
    keys = keysOf(namespace);
    caches = [];
    executors = [];
  });
  afterEach(async () => {
    await Promise.all(caches.map((cache) => cache.close()));
    await Promise.all(executors.map((redis) => redis.close()));
    slots.close();
  });

  function start(memory?: false): Cache {
    const redis = ioredisExecutor(cluster(servers.nodes), { commandTimeout: '1s' });
    executors.push(redis);
    const remote = redisTier({ redis, namespace });
    const cache = createCache({ namespace, remote, ...(memory === false ? { memory } : {}) });
    caches.push(cache);
    return cache;
  }

  const subjectsOf = (tenant: string, count: number): Subject[] =>
    Array.from({ length: count }, (_, index) => ({
      key: keys.item({ tenant, id: `${index}` }),
      tag: keys.tag(tenant, `item ${index}`),
    }));

  /** Two processes with a memory and one without read and write while `fault` happens. */
  async function through(promises: Promises, fault: () => Promise<void>): Promise<void> {
    const lives = [promises.live(start()), promises.live(start()), promises.watch(start(false))];
    try {
      await eventually(() => promises.reads).toBeGreaterThan(100);
      await fault();
      const { reads, written } = promises;
      await eventually(() => promises.reads).toBeGreaterThan(reads + 100);
      await eventually(() => promises.written).toBeGreaterThan(written + 10);
    } finally {
      promises.stop();
      await Promise.all(lives);
    }
  }

  it('a slot moves to another master while it is read, written and invalidated: nothing old is read, and in the end all is there', async () => {
    const tenant = 'acme';
    const promises = new Promises(subjectsOf(tenant, 10));
    const slot = await slots.slotOf(keys.item({ tenant, id: '0' }).wire);
    const [asked, moved] = [await slots.answered('ASK'), await slots.answered('MOVED')];
    let to = 0;
    await through(promises, async () => {
      const until = Date.now() + 1_500;
      to = await slots.move(slot, async () => {
        await new Promise((resolve) => setTimeout(resolve, 50));
        return Date.now() < until;
      });
      // The clients learn of the new master by being sent there.
      await eventually(() => slots.answered('MOVED')).toBeGreaterThan(moved);
    });
    promises.expectKept();
    expect(await slots.answered('ASK')).toBeGreaterThan(asked);
    expect(await slots.ownerOf(keys.item({ tenant, id: '0' }).wire)).toBe(to);
    const [first] = caches as [Cache];
    const stored = keys.item({ tenant, id: 'stored after the move' });
    expect(await first.getOrLoad(stored, async () => 7)).toBe(7);
    expect(await start(false).getOrLoad(stored, async () => 8)).toBe(7);
    expect(await slots.keysOn(to, slot)).toBeGreaterThan(0);
    // What one process invalidates still reaches the memory of the others, from the master that has the slot now.
    const [a, b] = caches as [Cache, Cache];
    const inMemory = async (): Promise<unknown> => {
      await b.getOrLoad(stored, async () => 9);
      return b.peek(stored);
    };
    await eventually(inMemory).toBe(7);
    await a.invalidate(stored);
    await eventually(() => b.peek(stored)).toBeUndefined();
  }, 90_000);

  it('a replica takes over from its master while its slots are read, written and invalidated: nothing old is read', async () => {
    const tenant = 'acme';
    const promises = new Promises(subjectsOf(tenant, 10));
    const owner = await slots.ownerOf(keys.item({ tenant, id: '0' }).wire);
    const [port] = await slots.replicasOf(owner);
    const replica = observe(`redis://127.0.0.1:${port}`);
    try {
      await through(promises, async () => {
        // Handed over, so that no write is lost; one that is not replicated when a master dies is lost to any client.
        await replica.call('CLUSTER', 'FAILOVER');
        await servers.failedOver(owner);
      });
    } finally {
      replica.disconnect();
    }
    promises.expectKept();
  }, 90_000);

  it('a master is dead and nobody takes over: its keys go to their loader, and those of the others are served from Redis', async () => {
    const everything = await slots.ownerOf(namespaceTag(namespace));
    const tenants = Array.from({ length: 9 }, (_, index) => `tenant-${index}`);
    const ownerOf = async (tenant: string) => await slots.ownerOf(keys.item({ tenant, id: 'a' }).wire);
    const owners = new Map<string, number>();
    for (const tenant of tenants) owners.set(tenant, await ownerOf(tenant));
    // Of the master that has the tag of the namespace, every read has need.
    const dead = [...owners.values()].find((port) => port !== everything) as number;
    const lost = tenants.filter((tenant) => owners.get(tenant) === dead);
    const served = tenants.filter((tenant) => owners.get(tenant) !== dead);
    // One that was a master a moment ago may have yet to say whose replica it is.
    await eventually(async () => (await slots.replicasOf(dead)).length).toBe(1);
    const killed = [dead, ...(await slots.replicasOf(dead))];
    for (const { host, port } of servers.nodes) {
      const node = observe(`redis://${host}:${port}`);
      await node.config('SET', 'cluster-require-full-coverage', 'no');
      node.disconnect();
    }
    const cache = start(false);
    for (const tenant of tenants) await cache.getOrLoad(keys.item({ tenant, id: 'a' }), async () => 1);
    try {
      await Promise.all(killed.map((port) => servers.kill(port)));
      for (let round = 0; round < 3; round++) {
        for (const tenant of lost) {
          const startedAt = performance.now();
          expect(await cache.getOrLoad(keys.item({ tenant, id: 'a' }), async () => 2)).toBe(2);
          expect(performance.now() - startedAt).toBeLessThan(5_000);
        }
        for (const tenant of served) {
          expect(await cache.getOrLoad(keys.item({ tenant, id: 'a' }), async () => 2)).toBe(1);
        }
      }
      for (const tenant of lost.slice(0, 1)) {
        await expect(cache.invalidate(keys.item({ tenant, id: 'a' }))).rejects.toMatchObject({
          code: 'TIER_FAILED',
        });
      }
      for (const tenant of served) {
        await cache.invalidate(keys.item({ tenant, id: 'a' }));
        expect(await cache.getOrLoad(keys.item({ tenant, id: 'a' }), async () => 3)).toBe(3);
      }
    } finally {
      await Promise.all(killed.map((port) => servers.restart(port)));
    }
    let attempts = 0;
    const works = async (): Promise<unknown> => {
      const [tenant] = lost as [string];
      // Each of another key: what the second read of an attempt loads is kept where the first one still failed.
      const key = keys.item({ tenant, id: `b${attempts++}` });
      await cache.getOrLoad(key, async () => 4);
      return await cache.getOrLoad(key, async () => 5);
    };
    await eventually(works).toBe(4);
  }, 120_000);
});

function keysOf(namespace: string) {
  return defineKeys({
    namespace,
    scope: 'tenant',
    resources: { item: resource<number, { id: string }>({ ttl: '1m', tags: ({ id }) => [`item ${id}`] }) },
  });
}
