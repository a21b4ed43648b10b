import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createCache } from '../src/index.ts';
import { openTelemetryMetrics, publishDiagnostics } from '../src/node/index.ts';
import { memoryRemoteTier } from '../src/testing/index.ts';
import { devices, keys } from './keys.ts';

describe('publishDiagnostics()', () => {
  test('publishes the events of a cache until it is ended', async () => {
    const cache = createCache({ namespace: 'ck' });
    const heard: unknown[] = [];
    const listener = (message: unknown) => heard.push(message);
    subscribe('cachekit:load', listener);
    subscribe('cachekit:invalidate', listener);
    try {
      const stop = publishDiagnostics(cache);
      await cache.getOrLoad(devices, async () => 1);
      await cache.getOrLoad(devices, async () => 1);
      await cache.invalidateTags(keys.tag('acme', 'devices'));
      expect(heard).toEqual([
        { namespace: 'ck', key: devices.wire, resource: 'devices', durationMs: expect.any(Number) },
        { namespace: 'ck', tags: [keys.tag('acme', 'devices').wire], clock: expect.any(Number) },
      ]);
      stop();
      await cache.getOrLoad(devices, async () => 1);
      expect(heard).toHaveLength(2);
    } finally {
      unsubscribe('cachekit:load', listener);
      unsubscribe('cachekit:invalidate', listener);
    }
  });
});

describe('publishDiagnostics() of a cache that repairs', () => {
  test('says which invalidations are kept', async () => {
    const tier = memoryRemoteTier();
    const cache = createCache({ remote: tier, onUnreached: 'repair' });
    const heard: unknown[] = [];
    const listener = (message: unknown) => heard.push(message);
    subscribe('cachekit:repair', listener);
    try {
      const stop = publishDiagnostics(cache);
      tier.fail();
      await cache.invalidate(devices);
      expect(heard).toEqual([{ namespace: 'ck', state: 'pending', pending: 1 }]);
      tier.recover();
      stop();
    } finally {
      unsubscribe('cachekit:repair', listener);
      await cache.close();
    }
  });
});

describe('openTelemetryMetrics()', () => {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  let provider: MeterProvider | undefined;
  afterEach(async () => {
    await provider?.shutdown();
    exporter.reset();
  });

  /** What the real SDK collected: by name, the value of each set of attributes. */
  async function collected(): Promise<Record<string, unknown[]>> {
    exporter.reset();
    await provider?.forceFlush();
    const all: Record<string, unknown[]> = {};
    for (const { descriptor, dataPoints } of exporter.getMetrics()[0]?.scopeMetrics[0]?.metrics ?? []) {
      all[descriptor.name] = dataPoints.map(({ attributes, value }) => [
        attributes.resource ?? '',
        ...(attributes.answer === undefined ? [] : [attributes.answer]),
        typeof value === 'number' ? value : (value as { count: number }).count,
      ]);
    }
    return all;
  }

  test('CRM-6 gives the real SDK what was counted', async () => {
    provider = new MeterProvider({
      readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })],
    });
    const cache = createCache({ remote: memoryRemoteTier() });
    const redis = vi.fn(async () => ({
      memory: { usedMemoryHuman: '1M', usedMemoryBytes: 1_048_576, memoryUsagePercent: 25 },
      stats: { connectedClients: 3, hitRate: 50 },
    }));
    const stop = openTelemetryMetrics(provider.getMeter('cachekit'), cache, { redis });
    await cache.getOrLoad(devices, async () => 1);
    await cache.getOrLoad(devices, async () => 1);
    await expect(
      cache.getOrLoad(keys.stats({ tenant: 'acme' }), () => Promise.reject(new Error('x'))),
    ).rejects.toThrow();
    const { cache: counted } = cache.metrics();
    const all = await collected();
    expect(all['cachekit.requests']).toEqual(
      expect.arrayContaining([
        ['devices', 'memory', counted.devices?.memoryHits],
        ['devices', 'remote', counted.devices?.remoteHits],
        ['devices', 'loader', 1],
        ['stats', 'loader', 1],
      ]),
    );
    expect(all['cachekit.load.duration']).toEqual([['devices', 1]]);
    expect(all['cachekit.load.errors']).toContainEqual(['stats', 1]);
    expect(all['cachekit.redis.memory.utilization']).toEqual([['', 0.25]]);
    expect(all['cachekit.remote.failures']).toEqual([['', 0]]);
    redis.mockRejectedValueOnce(new Error('gone'));
    expect(await collected()).toMatchObject({ 'cachekit.load.duration': [['devices', 1]] });

    stop();
    redis.mockClear();
    await cache.getOrLoad(keys.kept({ tenant: 'acme' }), async () => 1);
    expect((await collected())['cachekit.load.duration']).toEqual([['devices', 1]]);
    expect(redis).not.toHaveBeenCalled();
  });
});
