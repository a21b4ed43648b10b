import { describe, expect, test, vi } from 'vitest';
import { type Cache, type CacheOptions, createCache, isCacheKitError } from '../src/index.ts';
import { FakeClock, MemoryRemote, memoryRemoteTier } from '../src/testing/index.ts';
import { devices, heldLoader, keys, settled, stats } from './keys.ts';

const setups: [string, (options?: CacheOptions) => Cache][] = [
  ['in memory alone', (options) => createCache({ clock: new FakeClock(), ...options })],
  [
    'with a remote tier',
    (options) => {
      const clock = new FakeClock();
      return createCache({ clock, remote: memoryRemoteTier({ clock }), ...options });
    },
  ],
  [
    'with a remote tier and no memory',
    (options) => {
      const clock = new FakeClock();
      return createCache({ clock, remote: memoryRemoteTier({ clock }), memory: false, ...options });
    },
  ],
];
const ways: [string, (cache: Cache) => Promise<number>][] = [
  ['invalidate()', (cache) => cache.invalidate(devices)],
  ['invalidateTags()', (cache) => cache.invalidateTags(keys.tag('acme', 'devices'))],
  ['clear()', (cache) => cache.clear()],
  ['set()', (cache) => cache.set(devices, 'set')],
];
const argument = expect.toSatisfy((error) => isCacheKitError(error, 'INVALID_ARGUMENT'));

describe.each(setups)('an invalidation %s', (_name, make) => {
  test.each(ways)('%s makes the next read see what is new', async (way, invalidate) => {
    const cache = make();
    await cache.getOrLoad(devices, async () => 'old');
    await cache.getOrLoad(devices, async () => 'old');
    await invalidate(cache);
    expect(await cache.getOrLoad(devices, async () => 'new')).toBe(way === 'set()' ? 'set' : 'new');
  });

  test.each(ways)('%s during a load lets what was loaded land nowhere', async (way, invalidate) => {
    const cache = make();
    const { load, began } = heldLoader();
    const before = cache.getOrLoad(devices, load);
    await settled();
    await invalidate(cache);
    began[0]?.resolve('old');
    expect(await before).toBe('old');
    await settled();
    expect(await cache.getOrLoad(devices, async () => 'new')).toBe(way === 'set()' ? 'set' : 'new');
    expect(cache.metrics().cache.devices?.refusedCommits).toBe(1);
  });

  test.each(ways)('%s during a load makes later callers not wait for it', async (way, invalidate) => {
    const cache = make();
    const { load, began } = heldLoader();
    const before = cache.getOrLoad(devices, load);
    await settled();
    await invalidate(cache);
    const after = cache.getOrLoad(devices, load);
    if (way !== 'set()') {
      await vi.waitFor(() => expect(began).toHaveLength(2));
      began[1]?.resolve('new');
    }
    expect(await after).toBe(way === 'set()' ? 'set' : 'new');
    began[0]?.resolve('old');
    expect(await before).toBe('old');
    expect(await cache.getOrLoad(devices, load)).toBe(way === 'set()' ? 'set' : 'new');
  });

  test('of a refresh behind a stale value keeps the refreshed value out', async () => {
    const clock = new FakeClock();
    const cache = make({ clock });
    await cache.set(stats, 'stale', { ttl: 1 });
    await clock.advance(10);
    const { load, began } = heldLoader();
    expect(await cache.getOrLoad(stats, load)).toBe('stale');
    await vi.waitFor(() => expect(began).toHaveLength(1));
    await cache.invalidate(stats);
    began[0]?.resolve('refreshed');
    await settled();
    expect(await cache.getOrLoad(stats, async () => 'new')).toBe('new');
  });

  test('by a tag reaches every entry that carries it, of that tenant only', async () => {
    const cache = make();
    const all = [1, 2, 3].flatMap((limit) => ['a', 'b'].map((tenant) => keys.calls({ tenant, limit })));
    for (const key of all) await cache.getOrLoad(key, async () => 'old');
    await cache.invalidateTags(keys.tag('a', 'calls'), keys.tag('a', 'calls'));
    const values = await Promise.all(all.map((key) => cache.getOrLoad(key, async () => 'new')));
    expect(values).toEqual(['new', 'old', 'new', 'old', 'new', 'old']);
  });

  test('is not undone by a loader that fails: what was invalidated is no last resort', async () => {
    const cache = make();
    const failure = new Error('no database');
    const load = async () => {
      throw failure;
    };
    for (const [, invalidate] of ways.slice(0, 3)) {
      await cache.getOrLoad(devices, async () => 'old');
      await invalidate(cache);
      await expect(cache.getOrLoad(devices, load, { staleIfError: '1h' })).rejects.toBe(failure);
    }
  });

  test('returns clocks that grow', async () => {
    const cache = make();
    const clocks = [
      await cache.invalidate(devices),
      await cache.invalidateTags(keys.tag('acme', 'devices')),
      await cache.set(devices, 1),
      await cache.clear(),
      await cache.invalidate(),
      await cache.invalidateTags(),
    ];
    expect(clocks).toEqual([...clocks].sort((a, b) => a - b));
    expect(new Set(clocks).size).toBe(clocks.length);
  });

  test('refuses what is no key, no tag and no value', async () => {
    const cache = make() as unknown as Record<string, (...all: unknown[]) => Promise<unknown>>;
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    await expect(cache.invalidate?.('devices')).rejects.toEqual(argument);
    await expect(cache.invalidateTags?.('devices')).rejects.toEqual(argument);
    await expect(cache.invalidateTags?.({ wire: 'other:c:global:#x' })).rejects.toEqual(argument);
    await expect(cache.set?.(devices, undefined)).rejects.toEqual(argument);
    await expect(cache.set?.(devices, 1, { ttl: 0 })).rejects.toEqual(argument);
    await expect(cache.set?.({ wire: 'x' }, 1)).rejects.toEqual(argument);
  });

  test('tells its clock to listeners', async () => {
    const cache = make();
    const events: unknown[] = [];
    cache.on('invalidate', (event) => events.push(event));
    const clocks = [
      await cache.invalidate(devices),
      await cache.invalidateTags(keys.tag('a', 'x')),
      await cache.clear(),
    ];
    expect(events).toEqual([
      { keys: [devices.wire], clock: clocks[0] },
      { tags: [keys.tag('a', 'x').wire], clock: clocks[1] },
      { all: true, clock: clocks[2] },
    ]);
  });
});

describe('createCache()', () => {
  test('refuses options that no cache can be made of', () => {
    const create = createCache as unknown as (options: unknown) => unknown;
    for (const options of [
      { maxEntries: 1 },
      { namespace: 'a:b' },
      { memory: { maxEntries: 0 } },
      { memory: { maxEntries: 1.5 } },
      { memory: { maxEntry: 1 } },
      { memory: true },
      { policy: { ttl: 0 } },
      { policy: { ttl: -1 } },
      { policy: { ttl: '1w' } },
      { policy: { grace: 1 } },
      { policy: { timeout: 5 } },
      { policy: 5 },
    ]) {
      expect(() => create(options)).toThrow(
        expect.toSatisfy((error) => isCacheKitError(error, 'INVALID_CONFIGURATION')),
      );
    }
  });

  test('lets a listener that throws hurt nobody', async () => {
    const cache = createCache();
    const uncaught = vi.fn();
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', uncaught);
    const second = vi.fn();
    cache.on('load', () => {
      throw new Error('listener');
    });
    cache.on('load', second);
    expect(await cache.getOrLoad(devices, async () => 1)).toBe(1);
    expect(second).toHaveBeenCalledTimes(1);
    await vi.waitFor(() => expect(uncaught).toHaveBeenCalledTimes(1));
    process.off('uncaughtException', uncaught);
    for (const listener of others) process.on('uncaughtException', listener);
  });

  test('connects nothing before the first use', async () => {
    const tier = memoryRemoteTier({ remote: new MemoryRemote() });
    const start = vi.spyOn(tier.coherence, 'start');
    const cache = createCache({ remote: tier });
    expect(start).not.toHaveBeenCalled();
    await cache.getOrLoad(devices, async () => 1);
    await cache.getOrLoad(devices, async () => 1);
    expect(start).toHaveBeenCalledTimes(1);
  });
});
