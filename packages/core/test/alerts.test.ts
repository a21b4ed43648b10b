import { describe, expect, test, vi } from 'vitest';
import {
  type Alert,
  type AlertsOptions,
  createAlerts,
  createCache,
  isCacheKitError,
  type RedisStats,
} from '../src/index.ts';
import { FakeClock } from '../src/testing/index.ts';
import { devices, keys, settled } from './keys.ts';

function redisWith(memoryUsagePercent: number | null): RedisStats {
  return {
    memory: { usedMemoryHuman: '1M', usedMemoryBytes: 1, memoryUsagePercent },
    stats: { connectedClients: 1, hitRate: 0 },
  };
}

function setup(options: Partial<AlertsOptions> = {}) {
  const clock = new FakeClock();
  const cache = createCache({ clock });
  const alerts = createAlerts({ cache, clock, ...options });
  const told: string[] = [];
  alerts.on('raised', ({ kind, value }) => told.push(`${kind} ${value}`));
  alerts.on('cleared', ({ kind }) => told.push(`${kind} cleared`));
  const request = async (hits: number, misses: number) => {
    await cache.set(devices, 1);
    for (let hit = 0; hit < hits; hit++) await cache.getOrLoad(devices, async () => 1);
    for (let miss = 0; miss < misses; miss++) {
      await cache.getOrLoad(keys.calls({ tenant: 'acme', limit: Math.random() }), async () => 1);
    }
  };
  /** A load that takes so long. */
  const load = async (durationMs: number, loading = devices) => {
    await cache.invalidate(loading);
    const reading = cache.getOrLoad(
      loading,
      () => new Promise((resolve) => clock.setTimeout(() => resolve(1), durationMs)),
    );
    await settled();
    await clock.advance(durationMs);
    return await reading;
  };
  return { clock, cache, alerts, told, request, load };
}

describe('createAlerts()', () => {
  test('CRM-7 tells of a hit rate under 60 % once, and when it is better', async () => {
    const { alerts, told, request, clock } = setup();
    alerts.start();
    await request(70, 30);
    await clock.advance(60_000);
    expect(told).toEqual([]);
    await request(59, 41);
    await clock.advance(60_000);
    await request(50, 50);
    await clock.advance(60_000);
    expect(told).toEqual(['hit-rate 59']);
    expect(alerts.active).toEqual([
      { kind: 'hit-rate', value: 50, threshold: 60, since: expect.any(Number) },
    ]);
    await request(90, 10);
    await clock.advance(60_000);
    expect(told).toEqual(['hit-rate 59', 'hit-rate cleared']);
    alerts.stop();
  });

  test('CRM-7 judges no hit rate by a few requests, and none by counters that were reset', async () => {
    const { alerts, told, request, cache, clock } = setup();
    await request(0, 99);
    expect(await alerts.check()).toEqual([]);
    await request(0, 1);
    expect(await alerts.check()).toHaveLength(1);
    await clock.advance(1);
    cache.resetMetrics();
    await request(95, 5);
    expect(await alerts.check()).toEqual([]);
    expect(told).toEqual(['hit-rate 0', 'hit-rate cleared']);
  });

  test('CRM-7 tells of Redis memory over 80 %, and keeps its word while Redis does not answer', async () => {
    const redis = vi.fn(async () => redisWith(80));
    const { alerts, told } = setup({ redis });
    const unknown = vi.fn();
    alerts.on('unknown', unknown);
    await alerts.check();
    redis.mockResolvedValue(redisWith(81.5));
    await alerts.check();
    const gone = new Error('gone');
    redis.mockRejectedValueOnce(gone);
    expect(await alerts.check()).toMatchObject([{ kind: 'redis-memory', value: 81.5, threshold: 80 }]);
    expect(unknown).toHaveBeenCalledWith({ kind: 'redis-memory', error: gone });
    redis.mockResolvedValue(redisWith(null));
    await alerts.check();
    expect(told).toEqual(['redis-memory 81.5', 'redis-memory cleared']);
  });

  test('CRM-7 tells of an exhausted pool', async () => {
    const pressure = { max: 20, used: 20, waiting: 0 };
    const { alerts, told } = setup({ pool: () => pressure });
    await alerts.check();
    expect(told).toEqual([]);
    pressure.waiting = 3;
    await alerts.check();
    pressure.used = 19;
    await alerts.check();
    expect(told).toEqual(['pool-exhausted 3', 'pool-exhausted cleared']);
  });

  test('CRM-7 tells of a slow load at once, with its key', async () => {
    const { alerts, told, load, clock } = setup();
    const raised: Alert[] = [];
    alerts.on('raised', (alert) => raised.push(alert));
    await load(5_000);
    alerts.start();
    await load(2_000);
    expect(told).toEqual([]);
    await load(2_001);
    await load(3_000);
    expect(told).toEqual(['slow-load 2001']);
    expect(raised).toMatchObject([{ kind: 'slow-load', key: devices.wire, threshold: 2_000 }]);
    expect(alerts.active).toMatchObject([{ value: 3_000 }]);
    await clock.advance(120_000);
    expect(told).toEqual(['slow-load 2001', 'slow-load cleared']);
    alerts.stop();
    await load(9_000);
    expect(told).toHaveLength(2);
  });

  test('CRM-7 counts a load that was given up as slow', async () => {
    const { alerts, told, cache, clock } = setup();
    alerts.start();
    const reading = cache.getOrLoad(devices, () => new Promise(() => {}), { timeout: { hard: '4s' } });
    const failed = expect(reading).rejects.toThrow();
    await settled();
    await clock.advance(4_000);
    await failed;
    expect(told).toEqual(['slow-load 4000']);
    alerts.stop();
  });

  test('checks as often as it is told to, until it is stopped', async () => {
    const redis = vi.fn(async () => redisWith(1));
    const { alerts, clock } = setup({ redis, every: '10s' });
    alerts.start();
    alerts.start();
    for (let check = 0; check < 3; check++) await clock.advance(10_000);
    expect(redis).toHaveBeenCalledTimes(3);
    alerts.stop();
    await clock.advance(60_000);
    expect(redis).toHaveBeenCalledTimes(3);
  });

  test('refuses options that no watch can be made of', () => {
    const make = createAlerts as unknown as (options: unknown) => unknown;
    const cache = createCache();
    const wrong = [
      {},
      { cache, evry: 1 },
      { cache, every: 0 },
      { cache, pool: 5 },
      { cache, redis: {} },
      undefined,
      { cache, thresholds: { hitrate: 1 } },
      { cache, thresholds: { hitRate: '60' } },
      { cache, thresholds: { slowLoad: 'long' } },
    ];
    for (const options of wrong) {
      expect(() => make(options)).toThrow(
        expect.toSatisfy((error) => isCacheKitError(error, 'INVALID_CONFIGURATION')),
      );
    }
  });
});
