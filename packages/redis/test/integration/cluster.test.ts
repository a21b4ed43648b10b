import {
  globalPrefix,
  newToken,
  type RedisExecutor,
  type RemoteEntry,
  type RemoteTier,
  tenantPrefix,
} from '@cachekit/core';
import { startRedisCluster } from '@cachekit/services';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createPresence, ioredisExecutor, redisDoctor, redisStats, redisTier } from '../../src/index.ts';
import { ioredis, observe } from './clients.ts';
import { eventually } from './eventually.ts';

type Cluster = Awaited<ReturnType<typeof startRedisCluster>>;

const tenants = Array.from({ length: 30 }, (_, index) => `tenant-${index}`);

function entry(payload: string, clock: number, tags: readonly string[] = []): RemoteEntry {
  const version = newToken(Math.random);
  const freshUntil = Date.now() + 60_000;
  return { kind: 'value', clock, freshUntil, version, loadMs: 0, tags, codec: 'j', payload };
}

describe('on Redis Cluster', () => {
  let servers: Cluster;

  beforeAll(async () => {
    servers = await startRedisCluster();
  }, 120_000);
  afterAll(() => servers.stop());

  describe.each(ioredis)('over $name', ({ cluster }) => {
    let redis: RedisExecutor;
    let namespace: string;
    let tier: RemoteTier;
    let keys: string[];

    beforeEach(() => {
      redis = ioredisExecutor(cluster(servers.nodes), { commandTimeout: '5s' });
      namespace = uniqueNamespace();
      tier = redisTier({ redis, namespace });
      keys = tenants.map((tenant) => `${tenantPrefix(namespace, 'c', tenant)}devices`);
    });
    afterEach(async () => {
      await tier.close();
      await redis.close();
    });

    async function putAll(): Promise<void> {
      await Promise.all(keys.map((key, index) => tier.put(key, entry(`v${index}`, 0), 60_000)));
    }

    it('statistics and the doctor are of all masters, the fullest among them', async () => {
      const stats = redisStats(redis);
      const masters = (await servers.masters()).map(({ host, port }) => observe(`redis://${host}:${port}`));
      const usedOf = async (master: (typeof masters)[0]): Promise<number> =>
        Number(/used_memory:(\d+)/.exec(String(await master.info('memory')))?.[1]);
      try {
        const used = await Promise.all(masters.map(usedOf));
        for (const [index, master] of masters.entries()) {
          await master.config('SET', 'maxmemory', String(Math.round((used[index] as number) * 1.05)));
          const { memory } = await stats();
          expect(memory.usedMemoryBytes).toBeGreaterThan(1.5 * Math.max(...used));
          expect(memory.usedMemoryHuman).toMatch(/^\d+\.\d\d[KMG]$/);
          expect(memory.memoryUsagePercent).toBeGreaterThan(80);
          const findings = await redisDoctor({ redis, namespace });
          expect(findings.find(({ check }) => check === 'memory')?.level).toBe('warning');
          await master.config('SET', 'maxmemory', '0');
        }
      } finally {
        await Promise.all(masters.map((master) => master.config('SET', 'maxmemory', '0')));
        for (const master of masters) master.disconnect();
      }
    });

    it('reads and deletes keys of all masters in one call, in the order asked', async () => {
      await putAll();
      const read = await tier.getMany(keys);
      expect(read.map((found) => (found.state === 'entry' ? found.entry.payload : found.state))).toEqual(
        keys.map((_, index) => `v${index}`),
      );
      await tier.expire(keys);
      for (const found of await tier.getMany(keys)) {
        expect(found).toMatchObject({ state: 'entry', entry: { freshUntil: 0 } });
      }
      expect(await tier.delete(keys)).toBeGreaterThan(0);
      expect((await tier.getMany(keys)).every(({ state }) => state === 'absent')).toBe(true);
    });

    it('scans keys of all masters', async () => {
      await putAll();
      const found: string[] = [];
      for await (const page of tier.scan(`${namespace}:c:`)) found.push(...page);
      expect(found.sort()).toEqual([...keys].sort());
      const nodes = await Promise.all(
        (await servers.masters()).map(async ({ host, port }) => {
          const node = observe(`redis://${host}:${port}`);
          try {
            return (await node.keys(`${namespace}:c:*`)).length;
          } finally {
            node.disconnect();
          }
        }),
      );
      expect(nodes.filter((count) => count > 0).length).toBeGreaterThan(1);
    });

    it('leaves no master out of a scan whose connection has just been lost', async () => {
      await putAll();
      const masters = (await servers.masters()).map(({ host, port }) => observe(`redis://${host}:${port}`));
      const scanned = async (): Promise<string[]> => {
        const found: string[] = [];
        for await (const page of tier.scan(`${namespace}:c:`)) found.push(...page);
        return found.sort();
      };
      for (let round = 0; round < 4; round++) {
        for (const master of masters) {
          await master.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
          let found: string[] | undefined;
          // One that says that it failed is right; one that ends has seen everything.
          while (found === undefined) found = await scanned().catch(() => undefined);
          expect(found).toEqual([...keys].sort());
        }
      }
      for (const master of masters) master.disconnect();
    });

    it('fences loads with the tags of the tenant, which are in its slot', async () => {
      for (const tenant of tenants.slice(0, 6)) {
        const key = `${tenantPrefix(namespace, 'c', tenant)}calls`;
        const tag = `${tenantPrefix(namespace, 'c', tenant)}#calls`;
        const token = newToken(Math.random);
        const acquired = await tier.acquire({ key, token, leaseMs: 10_000 });
        if (acquired.state !== 'acquired') throw new Error('Expected to become the loader');
        await tier.bumpTags([tag]);
        const late = entry('old', acquired.clock, [tag]);
        expect(await tier.commit({ key, token, entry: late, ttlMs: 60_000 })).toBe(false);
        const again = await tier.acquire({ key, token, leaseMs: 10_000 });
        if (again.state !== 'acquired') throw new Error('Expected to become the loader');
        const right = entry('new', again.clock, [tag]);
        expect(await tier.commit({ key, token, entry: right, ttlMs: 60_000 })).toBe(true);
      }
    });

    it('fences loads with tags of other slots, and allows for masters whose clocks differ', async () => {
      const key = `${globalPrefix(namespace, 'c')}rates`;
      const tags = ['a', 'b', 'c'].map((name) => `${globalPrefix(namespace, 'c')}#${name}`);
      const token = newToken(Math.random);
      const acquired = await tier.acquire({ key, token, leaseMs: 10_000 });
      if (acquired.state !== 'acquired') throw new Error('Expected to become the loader');
      const loaded = entry('v', acquired.clock, tags);
      expect(await tier.commit({ key, token, entry: loaded, ttlMs: 60_000 })).toBe(true);
      expect(await tier.tagVersions(tags)).toEqual(tags.map(() => acquired.clock));
      const refresh = { key, token, leaseMs: 10_000, replaces: loaded.version };
      const refreshed = await tier.acquire(refresh);
      if (refreshed.state !== 'acquired') throw new Error('Expected to become the loader');
      const before = await tier.time();
      const bumped = await tier.bumpTags(tags.slice(1, 2));
      expect(bumped - before).toBeGreaterThanOrEqual(40_000);
      const late = entry('old', refreshed.clock, tags);
      expect(await tier.commit({ key, token, entry: late, ttlMs: 60_000 })).toBe(false);
      expect(await tier.acquire(refresh)).toMatchObject({ state: 'acquired' });
      const put = await tier.put(`${key}:put`, entry('p', 0, tags), 60_000);
      expect(put).toBeGreaterThanOrEqual(before);
    });

    it('tells changes on every master to a process that listens on one', async () => {
      const heard = new Set<string>();
      let armed = 0;
      tier.coherence?.start({
        changed: (changed) => {
          for (const key of changed) heard.add(key);
        },
        changedAll: () => {},
        lost: () => {},
        armed: () => {
          armed++;
        },
      });
      await eventually(() => armed).toBe(1);
      const other = ioredisExecutor(cluster(servers.nodes), { commandTimeout: '5s' });
      try {
        await redisTier({ redis: other, namespace }).delete(keys);
        await eventually(() => heard.size).toBe(keys.length);
      } finally {
        await other.close();
      }
    });

    it('routes scripts by their keys, also those that a node does not know yet', async () => {
      const script = { name: 'where', lua: `return redis.call('INCR', KEYS[1]) .. '${namespace}'` };
      const answers = await Promise.all(keys.map((key) => redis.script(script, [`${key}:n`], [])));
      expect(answers).toEqual(keys.map(() => `1${namespace}`));
    });

    it('keeps presence per tenant', async () => {
      const presence = createPresence({ redis, namespace, ttl: '5m' });
      await Promise.all(tenants.map((tenant) => presence.seen(tenant, `phone of ${tenant}`)));
      for (const tenant of tenants) expect(await presence.online(tenant)).toEqual([`phone of ${tenant}`]);
    });
  });

  it.each(ioredis)(
    'over $name: a master dies, its replica takes over, calls settle in time and work again, and foreign writes are heard on every master',
    async ({ cluster }) => {
      await servers.settled();
      const redis = ioredisExecutor(cluster(servers.nodes), { commandTimeout: 500 });
      const namespace = uniqueNamespace();
      const tier = redisTier({ redis, namespace });
      let states = '';
      const heard = new Set<string>();
      tier.coherence.start({
        changed: (changed) => {
          for (const key of changed) heard.add(key);
        },
        changedAll: () => {},
        lost: () => {
          states += 'lost ';
        },
        armed: () => {
          states += 'armed ';
        },
      });
      const keys = tenants.map((tenant) => `${tenantPrefix(namespace, 'c', tenant)}devices`);
      const [dead] = await servers.masters();
      if (dead === undefined) throw new Error('Expected a master');
      try {
        await eventually(() => states).toBe('armed ');
        // Not by the tier: the servers themselves tell of it.
        await Promise.all(keys.map((key) => redis.command('SET', key, 'foreign')));
        await eventually(() => keys.every((key) => heard.has(key))).toBe(true);
        await Promise.all(keys.map((key) => tier.put(key, entry('v', 0), 60_000)));
        await servers.kill(dead.port);
        const start = performance.now();
        const settled = await Promise.allSettled(keys.map((key) => tier.getMany([key])));
        expect(performance.now() - start).toBeLessThan(3_000);
        expect(settled.some(({ status }) => status === 'fulfilled')).toBe(true);
        await servers.failedOver(dead.port);
        const allWork = async (): Promise<boolean> => {
          const again = await Promise.allSettled(keys.map((key) => tier.delete([key])));
          return again.every(({ status }) => status === 'fulfilled');
        };
        await eventually(allWork).toBe(true);
        await eventually(() => states.endsWith('armed ')).toBe(true);
        expect(states).toContain('lost');
        const hears = async (): Promise<boolean> => {
          heard.clear();
          await Promise.all(keys.map((key) => redis.command('SET', key, 'foreign')));
          await redis.command('GET', keys[0] as string);
          return keys.filter((key) => !heard.has(key)).length === 0;
        };
        await eventually(hears).toBe(true);
      } finally {
        await tier.close();
        await redis.close();
        await servers.restart(dead.port);
        await servers.settled();
      }
    },
    90_000,
  );
});
