import { describe, expect, test, vi } from 'vitest';
import { metricsHandler, openMetrics, openMetricsType } from '../src/http/index.ts';
import {
  type CacheMetricsSnapshot,
  createCache,
  defineKeys,
  isCacheKitError,
  type RedisStats,
  resource,
  ttlAdvice,
} from '../src/index.ts';
import { FakeClock, MemoryRemote, memoryRemoteTier } from '../src/testing/index.ts';
import { devices, keys } from './keys.ts';

const redisStats: RedisStats = {
  memory: { usedMemoryHuman: '2.50M', usedMemoryBytes: 2_621_440, memoryUsagePercent: 12.5 },
  stats: { connectedClients: 3, hitRate: 89.2 },
};
const get = (headers: Record<string, string> = {}) =>
  new Request('http://localhost/api/v1/cache/metrics', { headers });

/** A cache whose loads took 0, 7 and 3,000 ms; one of the values was read twice more. */
async function used() {
  const clock = new FakeClock();
  const remote = new MemoryRemote({ clock });
  const cache = createCache({ clock, remote: memoryRemoteTier({ remote }) });
  for (const [limit, durationMs] of [0, 7, 3_000].entries()) {
    const load = () =>
      new Promise<string>((resolve) => {
        clock.setTimeout(() => resolve('call'), durationMs);
      });
    const reading = cache.getOrLoad(keys.calls({ tenant: 'acme', limit }), load);
    await vi.waitFor(async () => {
      await clock.advance(durationMs);
      expect(cache.metrics().cache.calls?.loadTimes.reduce((sum, { loads }) => sum + loads, 0)).toBe(
        limit + 1,
      );
    });
    await reading;
  }
  await cache.getOrLoad(keys.calls({ tenant: 'acme', limit: 0 }), async () => 'x');
  await cache.getOrLoad(keys.calls({ tenant: 'acme', limit: 0 }), async () => 'x');
  return { cache, clock };
}

describe('metrics()', () => {
  test('CRM-3 counts per key space and tier, with the times of loads', async () => {
    const { cache } = await used();
    await cache.getOrLoad(devices, async () => 'desk');
    const { calls, devices: counted, overall } = cache.metrics().cache;
    expect(calls).toMatchObject({ hits: 2, misses: 3, hitRate: 40, loads: 3, ttlMs: 60_000 });
    expect(counted).toMatchObject({ hits: 0, misses: 1, ttlMs: 300_000 });
    const times = (metrics = calls) => metrics?.loadTimes.filter(({ loads }) => loads > 0);
    expect(times()).toEqual([
      { upToMs: 1, loads: 1 },
      { upToMs: 10, loads: 1 },
      { upToMs: 5_000, loads: 1 },
    ]);
    expect(times(overall)?.[0]).toEqual({ upToMs: 1, loads: 2 });
    expect(overall).toMatchObject({ hits: 2, misses: 4, totalRequests: 6 });
    expect(overall).not.toHaveProperty('ttlMs');
    cache.resetMetrics();
    expect(times(cache.metrics().cache.calls)).toEqual([]);
    expect(cache.metrics().cache.calls).toMatchObject({ totalRequests: 0, loadMs: 0, ttlMs: 60_000 });
  });
});

describe('metricsHandler()', () => {
  test('CRM-6 puts what Redis says beside what the cache counted', async () => {
    const { cache } = await used();
    const metrics = metricsHandler(cache, { redis: async () => redisStats });
    expect(await (await metrics(get())).json()).toMatchObject({
      cache: {
        calls: { hits: 2, misses: 3, hitRate: 40, totalRequests: 5 },
        overall: { hits: 2, misses: 3, hitRate: 40, totalRequests: 5 },
      },
      redis: {
        memory: { usedMemoryHuman: '2.50M', memoryUsagePercent: 12.5 },
        stats: { connectedClients: 3, hitRate: 89.2 },
      },
    });
  });

  test('CRM-6 answers without Redis while that does not', async () => {
    const { cache } = await used();
    const metrics = metricsHandler(cache, { redis: () => Promise.reject(new Error('gone')) });
    expect(await (await metrics(get())).json()).toMatchObject({
      cache: { overall: { hits: 2 } },
      redis: null,
    });
    expect(await (await metricsHandler(cache)(get())).json()).not.toHaveProperty('redis');
  });

  test('refuses options that it does not have', () => {
    const make = metricsHandler as unknown as (...all: unknown[]) => unknown;
    for (const options of [{ reddis: 1 }, { redis: {} }]) {
      expect(() => make(createCache(), options)).toThrow(
        expect.toSatisfy((error) => isCacheKitError(error, 'INVALID_CONFIGURATION')),
      );
    }
  });

  test('gives OpenMetrics to who accepts that', async () => {
    const { cache } = await used();
    const metrics = metricsHandler(cache, { redis: async () => redisStats });
    const response = await metrics(
      get({ Accept: 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5' }),
    );
    expect(response.headers.get('Content-Type')).toBe(openMetricsType);
    expect(await response.text()).toContain('cachekit_redis_memory_usage_ratio 0.125\n');
  });
});

describe('openMetrics()', () => {
  test('writes families as the format wants them', async () => {
    const { cache } = await used();
    const text = openMetrics(cache.metrics(), redisStats);
    expect(text.endsWith('# EOF\n')).toBe(true);
    const types = new Map<string, string>();
    let family = '';
    for (const line of text.trimEnd().split('\n').slice(0, -1)) {
      const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line);
      if (type !== null) {
        family = type[1] as string;
        expect(types.has(family)).toBe(false);
        types.set(family, type[2] as string);
        continue;
      }
      const kind = types.get(family);
      if (line.startsWith('# ')) {
        expect(line).toMatch(new RegExp(`^# (HELP|UNIT) ${family} \\S`));
        continue;
      }
      const suffix = kind === 'counter' ? '_total' : kind === 'histogram' ? '_(bucket|count|sum)' : '';
      expect(line).toMatch(
        new RegExp(`^${family}${suffix}(\\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\\})? [0-9.e+-]+$`),
      );
    }
    expect(types.size).toBeGreaterThan(10);
    expect(text).toContain('cachekit_requests_total{resource="calls",answer="loader"} 3\n');
    expect(text).toContain('cachekit_load_duration_seconds_bucket{resource="calls",le="0.005"} 1\n');
    expect(text).toContain('cachekit_load_duration_seconds_bucket{resource="calls",le="0.01"} 2\n');
    expect(text).toContain('cachekit_load_duration_seconds_bucket{resource="calls",le="+Inf"} 3\n');
    expect(text).toContain('cachekit_load_duration_seconds_count{resource="calls"} 3\n');
    expect(text).toContain('cachekit_remote_up 1\n');
    expect(text).not.toContain('overall');
  });

  test('escapes the names of resources', async () => {
    const odd = defineKeys({ scope: 'tenant', resources: { 'a"b\\c\nd': resource<number>() } });
    const cache = createCache();
    await cache.getOrLoad(odd['a"b\\c\nd']({ tenant: 'acme' }), async () => 1);
    expect(openMetrics(cache.metrics())).toContain('{resource="a\\"b\\\\c\\nd",answer="loader"} 1\n');
  });
});

describe('ttlAdvice()', () => {
  /** Requests by chance, one in 20 s on average, of a value that is fresh for `ttl`. */
  async function measured(ttl: number): Promise<{ snapshot: CacheMetricsSnapshot; now: number }> {
    const clock = new FakeClock();
    const cache = createCache({ clock });
    const busy = defineKeys({ scope: 'tenant', resources: { busy: resource<number>({ ttl }) } });
    const key = busy.busy({ tenant: 'acme' });
    // Numbers that look like chance and are the same in every run.
    let seed = 1;
    const random = () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    for (let request = 0; request < 2_000; request++) {
      await clock.advance(-Math.log(random()) * 20_000);
      await cache.getOrLoad(key, async () => 1);
    }
    return { snapshot: cache.metrics(), now: clock.now() };
  }

  test('PBX-14 foretells the hit rate of another ttl from what was measured', async () => {
    const before = await measured(10_000);
    const [advice] = ttlAdvice(before.snapshot, { now: before.now, hitRate: 70 });
    expect(advice).toMatchObject({ resource: 'busy', ttlMs: 10_000, advisedTtlMs: 45_000 });
    expect(advice?.hitRate).toBeCloseTo(33, -1);
    const after = await measured(45_000);
    const rate = after.snapshot.cache.overall.hitRate;
    expect(rate).toBeGreaterThan(67);
    expect(Math.abs(rate - (advice?.expectedHitRate ?? 0))).toBeLessThan(4);
    // And the other way: what is fresh for longer than it has to be may be fresher.
    const [shorter] = ttlAdvice(after.snapshot, { now: after.now, hitRate: 30 });
    expect(shorter?.advisedTtlMs).toBeLessThanOrEqual(15_000);
  });

  test('PBX-14 says nothing of what was hardly asked for, and puts first what costs the most', () => {
    const metrics = (over: object) => ({ ...createCache().metrics().cache.overall, ...over });
    const snapshot = {
      ...createCache().metrics(),
      since: 0,
      cache: {
        rare: metrics({ hits: 5, misses: 5, totalRequests: 10, ttlMs: 1_000 }),
        cheap: metrics({ hits: 100, misses: 100, totalRequests: 200, hitRate: 50, ttlMs: 1_000, loadMs: 10 }),
        dear: metrics({ hits: 0, misses: 200, totalRequests: 200, hitRate: 0, ttlMs: 1_000, loadMs: 600 }),
        overall: metrics({}),
      },
    };
    const advice = ttlAdvice(snapshot, { now: 60_000 });
    expect(advice.map((each) => each.resource)).toEqual(['dear', 'cheap']);
    expect(advice[0]).toMatchObject({ loadMsPerMinute: 600, advisedTtlMs: 1_200_000 });
    expect(advice[1]).toMatchObject({ advisedTtlMs: 5_000 });
    const wrong = [0, 100, Number.NaN].map((hitRate) => ({ now: 1, hitRate }));
    for (const options of [...wrong, { now: 1, hitrate: 80 }, {}, undefined]) {
      expect(() => ttlAdvice(snapshot, options as never)).toThrow(
        expect.toSatisfy((error) => isCacheKitError(error, 'INVALID_ARGUMENT')),
      );
    }
  });
});
