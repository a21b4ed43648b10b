import { describe, expect, test, vi } from 'vitest';
import { type Cache, createCache, type RemoteTier } from '../src/index.ts';
import { FakeClock, MemoryRemote, memoryRemoteTier } from '../src/testing/index.ts';
import { heldLoader, keys, settled } from './keys.ts';

const keyOf = (limit: number) => keys.calls({ tenant: 'acme', limit });

/** A cache that found nothing so often that it looks no more, and how often it asks the tier what. */
async function setup() {
  const remote = new MemoryRemote({ clock: new FakeClock() });
  const clock = new FakeClock();
  const tier: RemoteTier = memoryRemoteTier({ remote });
  const cache = createCache({ clock, remote: tier, memory: false });
  const other = createCache({ clock, remote: memoryRemoteTier({ remote }), memory: false });
  for (let limit = 1; limit <= 8; limit++) await cache.getOrLoad(keyOf(limit), async () => limit);
  const looks = vi.spyOn(tier, 'getMany');
  const acquires = vi.spyOn(tier, 'acquire');
  return { remote, cache, other, looks, acquires };
}

const never = async (): Promise<never> => {
  throw new Error('The loader was not to run');
};

const outcomes = ({ cache }: { readonly cache: Cache }) => {
  const { hits, misses } = cache.metrics().cache.overall;
  return { hits, misses };
};

describe('a read of a resource of which nothing was found lately', () => {
  test('asks for the load without looking first', async () => {
    const { cache, looks, acquires } = await setup();
    expect(await cache.getOrLoad(keyOf(100), async () => 'loaded')).toBe('loaded');
    expect(looks).not.toHaveBeenCalled();
    expect(acquires).toHaveBeenCalledTimes(1);
    expect(await cache.getOrLoad(keyOf(100), never)).toBe('loaded');
  });

  test('finds what is there all the same, and then looks first again', async () => {
    const { cache, other, looks } = await setup();
    await other.set(keyOf(100), 'set');
    expect(await cache.getOrLoad(keyOf(100), never)).toBe('set');
    expect(looks).toHaveBeenCalledTimes(1);
    expect(outcomes({ cache })).toEqual({ hits: 1, misses: 8 });
    await cache.getOrLoad(keyOf(101), async () => 'loaded');
    expect(looks).toHaveBeenCalledTimes(2);
  });

  test('is answered by the load of another process', async () => {
    const { cache, other } = await setup();
    const { load, began } = heldLoader();
    const first = other.getOrLoad(keyOf(100), load);
    await settled();
    const second = cache.getOrLoad(keyOf(100), never);
    await settled();
    began[0]?.resolve('loaded');
    expect(await Promise.all([first, second])).toEqual(['loaded', 'loaded']);
  });

  test('tells of what is damaged, and replaces it', async () => {
    const { remote, cache } = await setup();
    const damaged = vi.fn();
    cache.on('damaged', damaged);
    remote.put(keyOf(100).wire, 'garbage', 60_000);
    expect(await cache.getOrLoad(keyOf(100), async () => 'loaded')).toBe('loaded');
    expect(damaged).toHaveBeenCalledExactlyOnceWith({ key: keyOf(100).wire, resource: 'calls' });
    expect(await cache.getOrLoad(keyOf(100), never)).toBe('loaded');
  });

  test('is one load for all who ask in one tick, and for all who ask while it runs', async () => {
    const { cache, acquires } = await setup();
    const { load, began } = heldLoader();
    const callers = Array.from({ length: 100 }, () => cache.getOrLoad(keyOf(100), load));
    await settled();
    expect(began).toHaveLength(1);
    expect(acquires).toHaveBeenCalledTimes(1);
    began[0]?.resolve('loaded');
    expect(new Set(await Promise.all(callers))).toEqual(new Set(['loaded']));
  });

  test('is loaded without the tier if that does not answer', async () => {
    const { cache, acquires } = await setup();
    acquires.mockRejectedValueOnce(new Error('gone'));
    expect(await cache.getOrLoad(keyOf(100), async () => 'loaded')).toBe('loaded');
  });
});
