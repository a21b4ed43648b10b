import {
  type Cache,
  createAlerts,
  createCache,
  defineInvalidations,
  defineKeys,
  jsonCodec,
  type RedisExecutor,
  resource,
} from '@cachekit/core';
import { createCompat } from '@cachekit/core/compat';
import { metricsHandler, withCache } from '@cachekit/core/http';
import { startRedis } from '@cachekit/services';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { ioredisExecutor, redisStats, redisTier } from '../../src/index.ts';

type Server = Awaited<ReturnType<typeof startRedis>>;

let server: Server;
let client: Redis;
const ends: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  server = await startRedis({ own: true });
  client = new Redis(server.url);
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
afterAll(async () => {
  client.disconnect();
  await server.stop();
});

/** A process of an application. */
function processOf(namespace: string, memory?: false) {
  const own = new Redis(server.url);
  const redis: RedisExecutor = ioredisExecutor(own, { commandTimeout: '5s' });
  const codec = { ...jsonCodec, decode: vi.fn(jsonCodec.decode) };
  const cache: Cache = createCache({
    namespace,
    codec,
    remote: redisTier({ redis, namespace }),
    ...(memory === false && { memory }),
  });
  ends.push(async () => {
    await cache.close();
    await redis.close();
    own.disconnect();
  });
  return { cache, codec, redis };
}

const get = (headers: Record<string, string> = {}) => new Request('http://localhost/api/txns', { headers });

describe('over real Redis', () => {
  test('RC-7 RC-12 a request is a MISS, then a HIT in every process, then 304, and a MISS once the tenant is dropped', async () => {
    const namespace = uniqueNamespace();
    const keys = defineKeys({
      namespace,
      scope: 'tenant',
      resources: {
        txns: resource<{ id: string }[], { page: number }>({ ttl: '1m', tags: ['txns'] }),
        settings: resource<number>(),
      },
    });
    const invalidations = defineInvalidations({
      synced: ({ tenant }: { tenant: string }) => [keys.all(tenant)],
    });
    const load = vi.fn(async () => [{ id: `t${load.mock.calls.length}` }]);
    const edge = processOf(namespace, false);
    const server = processOf(namespace);
    const handlers = [edge, server].map(({ cache }) =>
      withCache(cache, { key: () => keys.txns({ tenant: 'acme', page: 1 }), load }),
    );
    const [ofEdge, ofServer] = handlers as [(typeof handlers)[0], (typeof handlers)[0]];

    const first = await ofEdge(get());
    expect(first.headers.get('X-Cache')).toBe('MISS');
    const etag = first.headers.get('ETag') ?? '';
    for (const handler of [ofServer, ofEdge, ofServer, ofEdge]) {
      const response = await handler(get());
      expect(await response.json()).toEqual([{ id: 't1' }]);
      expect(Object.fromEntries(response.headers)).toMatchObject({ 'x-cache': 'HIT', etag });
      expect((await handler(get({ 'If-None-Match': etag }))).status).toBe(304);
    }
    expect(edge.codec.decode).not.toHaveBeenCalled();
    expect(load).toHaveBeenCalledTimes(1);

    await server.cache.set(keys.settings({ tenant: 'other' }), 1);
    await invalidations.apply(server.cache, 'synced', { tenant: 'acme' });
    // The sync brought another transaction.
    expect((await ofServer(get({ 'If-None-Match': etag }))).headers.get('X-Cache')).toBe('MISS');
    expect((await ofEdge(get({ 'If-None-Match': etag }))).status).toBe(200);
    expect(await edge.cache.get(keys.settings({ tenant: 'other' }))).toBe(1);
  });

  test('RC-2 drops a tenant by a pattern in one command, without KEYS or SCAN, however much it has', async () => {
    const namespace = uniqueNamespace();
    const { cache } = processOf(namespace, false);
    const { getCached, setCached, invalidatePattern } = createCompat(cache);
    const all = Array.from({ length: 300 }, (_, index) => `tenant:abc:txns:${index}`);
    await Promise.all([...all, 'tenant:abcd:txns:0'].map((key) => setCached(key, key, 60)));
    await client.config('RESETSTAT');
    await invalidatePattern('tenant:abc:*');
    const stats = await client.info('commandstats');
    const calls = [...stats.matchAll(/cmdstat_([a-z|]+):calls=(\d+)/g)].map(([, name, count]) => [
      name,
      Number(count),
    ]);
    const ofScripts = ['evalsha', 'eval', 'time', 'set', 'get', 'incr', 'publish', 'mget', 'pexpire', 'xadd'];
    expect(calls.filter(([name]) => name === 'keys' || name === 'scan' || name === 'del')).toEqual([]);
    for (const [name, count] of calls) {
      if (ofScripts.includes(String(name))) expect(count, `calls of ${name}`).toBeLessThanOrEqual(3);
    }
    const there = await Promise.all(all.map((key) => getCached(key)));
    expect(there.every((value) => value === null)).toBe(true);
    expect(await getCached('tenant:abcd:txns:0')).toBe('tenant:abcd:txns:0');
  });

  test('gives a stored date back as a date, by the schema of its resource', async () => {
    const namespace = uniqueNamespace();
    const keys = defineKeys({
      namespace,
      scope: 'tenant',
      resources: {
        call: resource<{ at: Date }>({
          schema: {
            '~standard': {
              version: 1,
              vendor: 'test',
              validate: (stored) => ({ value: { at: new Date((stored as { at: string }).at) } }),
            },
          },
        }),
      },
    });
    const at = new Date('2026-01-01T12:00:00Z');
    const writer = processOf(namespace);
    const reader = processOf(namespace);
    await writer.cache.getOrLoad(keys.call({ tenant: 'acme' }), async () => ({ at }));
    expect(await reader.cache.get(keys.call({ tenant: 'acme' }))).toEqual({ at });
  });

  test('CRM-6 CRM-7 reports the memory of Redis, and alarms when it is used up', async () => {
    const { cache, redis } = processOf(uniqueNamespace());
    const stats = redisStats(redis);
    const body = await (await metricsHandler(cache, { redis: stats })(get())).json();
    expect(body).toMatchObject({
      cache: { overall: { hits: 0, misses: 0, hitRate: 0, totalRequests: 0 } },
      redis: {
        memory: { usedMemoryHuman: expect.stringMatching(/^[\d.]+[KMG]$/) },
        stats: { connectedClients: expect.any(Number), hitRate: expect.any(Number) },
      },
    });
    const { usedMemoryBytes } = (await stats()).memory;
    const alerts = createAlerts({ cache, redis: stats });
    await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
    await client.config('SET', 'maxmemory', Math.ceil(usedMemoryBytes / 0.9));
    expect(await alerts.check()).toMatchObject([{ kind: 'redis-memory', threshold: 80 }]);
    await client.config('SET', 'maxmemory', usedMemoryBytes * 10);
    expect(await alerts.check()).toEqual([]);
    await client.config('SET', 'maxmemory', 0);
  });
});
