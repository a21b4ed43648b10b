import { describe, expect, test, vi } from 'vitest';
import { createCache, isCacheKitError } from '../src/index.ts';
import { memoryRemoteTier } from '../src/testing/index.ts';
import { devices, heldLoader, kept, keys, settled, slow, stats } from './keys.ts';
import { setups } from './setups.ts';

const argument = expect.toSatisfy((error) => isCacheKitError(error, 'INVALID_ARGUMENT'));

describe.each(setups)('getOrLoad() %s', (_name, make) => {
  test('loads once, then answers from the cache until the ttl is over', async () => {
    const { cache, clock } = make();
    const load = vi.fn(async () => ['phone']);
    expect(await cache.getOrLoad(devices, load)).toEqual(['phone']);
    await clock.advance(299_000);
    expect(await cache.getOrLoad(devices, load)).toEqual(['phone']);
    expect(load).toHaveBeenCalledTimes(1);
    await clock.advance(1_000);
    await cache.getOrLoad(devices, load);
    expect(load).toHaveBeenCalledTimes(2);
  });

  test('PBX-7 keeps one entry per set of parameters and per tenant', async () => {
    const { cache } = make();
    const load = vi.fn(async () => load.mock.calls.length);
    await cache.getOrLoad(keys.calls({ tenant: 'a', limit: 1 }), load);
    await cache.getOrLoad(keys.calls({ tenant: 'a', limit: 2 }), load);
    await cache.getOrLoad(keys.calls({ tenant: 'b', limit: 1 }), load);
    expect(await cache.getOrLoad(keys.calls({ tenant: 'a', limit: 1 }), load)).toBe(1);
    expect(load).toHaveBeenCalledTimes(3);
  });

  test('keeps 0, "", false and null apart from nothing', async () => {
    const { cache } = make();
    for (const [limit, value] of [0, '', false, null].entries()) {
      const load = vi.fn(async () => value);
      const key = keys.calls({ tenant: 'a', limit });
      expect(await cache.getOrLoad(key, load)).toBe(value);
      expect(await cache.getOrLoad(key, load)).toBe(value);
      expect(load).toHaveBeenCalledTimes(1);
    }
  });

  test('keeps "does not exist" for negativeTtl and no longer', async () => {
    const { cache, clock } = make();
    const load = vi.fn(async () => null);
    await cache.getOrLoad(devices, load);
    await clock.advance(29_000);
    await cache.getOrLoad(devices, load);
    expect(load).toHaveBeenCalledTimes(1);
    await clock.advance(1_000);
    await cache.getOrLoad(devices, load);
    expect(load).toHaveBeenCalledTimes(2);
    const never = vi.fn(async () => null);
    await cache.getOrLoad(stats, never, { negativeTtl: 0 });
    await cache.getOrLoad(stats, never, { negativeTtl: 0 });
    expect(never).toHaveBeenCalledTimes(2);
  });

  test('runs the loader once for 1,000 callers at a time', async () => {
    const { cache } = make();
    const { load, began } = heldLoader();
    const callers = Array.from({ length: 1_000 }, () => cache.getOrLoad(devices, load));
    await settled();
    expect(began).toHaveLength(1);
    began[0]?.resolve(7);
    expect(new Set(await Promise.all(callers))).toEqual(new Set([7]));
  });

  test('shares a failure with all who wait, unchanged, and keeps nothing of it', async () => {
    const { cache } = make();
    const { load, began } = heldLoader();
    const callers = Array.from({ length: 1_000 }, () => cache.getOrLoad(devices, load));
    await settled();
    const failure = new RangeError('no database');
    began[0]?.reject(failure);
    for (const caller of callers) await expect(caller).rejects.toBe(failure);
    expect(began).toHaveLength(1);
    expect(await cache.getOrLoad(devices, async () => 'back')).toBe('back');
  });

  test('passes what a loader throws at once', async () => {
    const { cache } = make();
    const failure = new Error('at once');
    const load = () => {
      throw failure;
    };
    await expect(cache.getOrLoad(devices, load)).rejects.toBe(failure);
  });

  test('refuses undefined from a loader', async () => {
    const { cache } = make();
    await expect(cache.getOrLoad(devices, async () => undefined)).rejects.toEqual(argument);
    expect(await cache.getOrLoad(devices, async () => 1)).toBe(1);
  });

  test('PBX-13 serves the stale value at once and refreshes once behind it', async () => {
    const { cache, clock } = make();
    await cache.getOrLoad(stats, async () => 'old');
    await clock.advance(70_000);
    const { load, began } = heldLoader();
    const reads = await Promise.all(Array.from({ length: 10 }, () => cache.read(stats, load)));
    expect(new Set(reads.map(({ state, value }) => `${state} ${value}`))).toEqual(new Set(['stale old']));
    await settled();
    expect(began).toHaveLength(1);
    expect(await cache.getOrLoad(stats, load)).toBe('old');
    began[0]?.resolve('new');
    await settled();
    expect(await cache.getOrLoad(stats, load)).toBe('new');
    expect(began).toHaveLength(1);
  });

  test('waits for a load once staleWhileRevalidate is over', async () => {
    const { cache, clock } = make();
    await cache.getOrLoad(stats, async () => 'old');
    await clock.advance(120_000);
    expect(await cache.read(stats, async () => 'new')).toMatchObject({ value: 'new', state: 'miss' });
  });

  test('keeps serving the stale value when the refresh fails, without hammering the loader', async () => {
    const { cache, clock } = make();
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    await cache.getOrLoad(stats, async () => 'old');
    await clock.advance(70_000);
    const load = vi.fn(async () => {
      throw new Error('no database');
    });
    for (let read = 0; read < 20; read++) {
      expect(await cache.getOrLoad(stats, load)).toBe('old');
      await settled();
    }
    expect(load).toHaveBeenCalledTimes(1);
    await clock.advance(1_000);
    expect(await cache.getOrLoad(stats, load)).toBe('old');
    await settled();
    expect(load).toHaveBeenCalledTimes(2);
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
  });

  test('serves the old value within staleIfError when the loader fails, and the error after it', async () => {
    const { cache, clock } = make();
    await cache.getOrLoad(kept, async () => 'old');
    const failure = new Error('no database');
    const load = async () => {
      throw failure;
    };
    await clock.advance(70_000);
    expect(await cache.read(kept, load)).toMatchObject({ value: 'old', state: 'stale' });
    expect(cache.metrics().cache.kept).toMatchObject({ loadErrors: 1, staleServed: 1, hits: 1 });
    await clock.advance(600_000);
    await expect(cache.getOrLoad(kept, load)).rejects.toBe(failure);
  });

  test('gives the old value to the loader', async () => {
    const { cache, clock } = make();
    await cache.getOrLoad(kept, ({ stale }) => stale ?? 'first');
    await clock.advance(70_000);
    expect(await cache.getOrLoad(kept, ({ stale }) => `${stale} again`)).toBe('first again');
  });

  test('gives a load up after timeout.hard, which is finite by default', async () => {
    const { cache, clock } = make();
    let signal: AbortSignal | undefined;
    const caller = cache.getOrLoad(devices, (context) => {
      signal = context.signal;
      return new Promise(() => {});
    });
    const failure = expect(caller).rejects.toMatchObject({
      code: 'LOAD_TIMEOUT',
      key: devices.wire,
      timeoutMs: 30_000,
    });
    await clock.advance(30_000);
    await failure;
    expect(signal?.aborted).toBe(true);
    expect(await cache.getOrLoad(devices, async () => 'later')).toBe('later');
  });

  test('gives the error of a load that outlasts both timeout.soft and what the old value is good for', async () => {
    const { cache, clock } = make();
    await cache.getOrLoad(slow, async () => 'old');
    await clock.advance(11 * 60_000 - 50);
    const { load, began } = heldLoader();
    const caller = cache.getOrLoad(slow, load);
    const failure = new Error('no database');
    const told = expect(caller).rejects.toBe(failure);
    await clock.advance(1_000);
    began[0]?.reject(failure);
    await told;
  });

  test('gives the new value, or covers the error, of a load that ends before timeout.soft', async () => {
    const { cache, clock } = make();
    await cache.getOrLoad(slow, async () => 'old');
    await clock.advance(70_000);
    const fails = async () => {
      throw new Error('no database');
    };
    // No time passes.
    expect(await cache.read(slow, fails)).toMatchObject({ value: 'old', state: 'stale' });
    await clock.advance(1_000);
    expect(await cache.read(slow, async () => 'new')).toMatchObject({ value: 'new', state: 'miss' });
    await cache.close();
    expect(clock.timers).toBe(0);
  });

  test('serves the old value after timeout.soft and lets the load go on', async () => {
    const { cache, clock } = make();
    await cache.getOrLoad(slow, async () => 'old');
    await clock.advance(70_000);
    const { load, began } = heldLoader();
    const caller = cache.read(slow, load);
    await clock.advance(100);
    expect(await caller).toMatchObject({ value: 'old', state: 'stale' });
    // While nothing is heard of the others, a caller looks for itself and has its own time to wait.
    const next = cache.getOrLoad(slow, load);
    await clock.advance(100);
    expect(await next).toBe('old');
    began[0]?.resolve('new');
    await settled();
    expect(await cache.getOrLoad(slow, load)).toBe('new');
    expect(began).toHaveLength(1);
  });

  test('lets one caller leave and serves the others', async () => {
    const { cache } = make();
    const leaving = new AbortController();
    const { load, began } = heldLoader();
    const left = cache.getOrLoad(devices, load, { signal: leaving.signal });
    const stayed = cache.getOrLoad(devices, load);
    await settled();
    leaving.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    began[0]?.resolve('value');
    expect(await stayed).toBe('value');
    expect(began).toHaveLength(1);
  });

  test('aborts the load when the last caller has left, and starts another for the next', async () => {
    const { cache } = make();
    const one = new AbortController();
    const two = new AbortController();
    let signal: AbortSignal | undefined;
    const load = (context: { signal: AbortSignal }) => {
      signal = context.signal;
      return new Promise<unknown>(() => {});
    };
    const callers = [
      cache.getOrLoad(devices, load, { signal: one.signal }),
      cache.getOrLoad(devices, load, { signal: two.signal }),
    ];
    await settled();
    one.abort(new Error('first'));
    await settled();
    expect(signal?.aborted).toBe(false);
    two.abort(new Error('second'));
    await expect(callers[0]).rejects.toThrow('first');
    await expect(callers[1]).rejects.toThrow('second');
    expect(signal?.aborted).toBe(true);
    await settled();
    expect(await cache.getOrLoad(devices, async () => 'next')).toBe('next');
    await expect(cache.getOrLoad(devices, load, { signal: AbortSignal.abort('early') })).rejects.toBe(
      'early',
    );
  });

  test('does not let the change of a result change the cache', async () => {
    const { cache } = make();
    const value = (await cache.getOrLoad(devices, async () => ({ list: [{ name: 'phone' }] }))) as {
      list: { name: string }[];
    };
    expect(() => value.list.push({ name: 'fax' })).toThrow(TypeError);
    expect(() => Object.assign(value.list[0] ?? {}, { name: 'fax' })).toThrow(TypeError);
    expect(await cache.getOrLoad(devices, async () => null)).toEqual({ list: [{ name: 'phone' }] });
  });

  test('treats an entry that is older than the minimum clock as a miss', async () => {
    const { cache, clock } = make();
    const load = vi.fn(async () => load.mock.calls.length);
    await cache.getOrLoad(devices, load);
    await clock.advance(10);
    const minClock = await cache.invalidateTags(keys.tag('acme', 'other'));
    expect(await cache.getOrLoad(devices, load)).toBe(1);
    expect(await cache.getOrLoad(devices, load, { minClock })).toBe(2);
    expect(await cache.getOrLoad(devices, load, { minClock })).toBe(2);
    expect(await cache.getOrLoad(devices, load)).toBe(2);
  });

  test('is content with an entry of exactly the minimum clock: a caller may ask for what it has set', async () => {
    const { cache } = make();
    const minClock = await cache.set(devices, 'mine');
    expect(await cache.getOrLoad(devices, async () => 'loaded', { minClock })).toBe('mine');
  });

  test('ignores a minimum clock from the future', async () => {
    const { cache, clock } = make();
    await cache.getOrLoad(devices, async () => 1);
    const minClock = (clock.now() + 3_600_000) * 1_000;
    expect(await cache.getOrLoad(devices, async () => 2, { minClock })).toBe(1);
    await expect(cache.getOrLoad(devices, async () => 2, { minClock: Number.NaN })).rejects.toEqual(argument);
  });

  test('does not join a load that began before the minimum clock', async () => {
    const { cache } = make();
    const { load, began } = heldLoader();
    const early = cache.getOrLoad(devices, load);
    await settled();
    const minClock = await cache.invalidateTags(keys.tag('acme', 'other'));
    const late = cache.getOrLoad(devices, load, { minClock });
    await settled();
    began[0]?.resolve('old');
    await settled();
    began[1]?.resolve('new');
    expect(await early).toBe('old');
    expect(await late).toBe('new');
  });

  test('counts per resource and overall, in the shape of CRM-6', async () => {
    const { cache } = make();
    const counted = () => cache.metrics().cache;
    await cache.getOrLoad(devices, async () => 1);
    await cache.getOrLoad(devices, async () => 1);
    await cache.getOrLoad(devices, async () => 1);
    await cache.getOrLoad(stats, async () => 1);
    expect(counted().devices).toMatchObject({
      hits: 2,
      misses: 1,
      hitRate: 66.67,
      totalRequests: 3,
      loads: 1,
    });
    expect(counted().overall).toMatchObject({ hits: 2, misses: 2, hitRate: 50, totalRequests: 4, loads: 2 });
    cache.resetMetrics();
    expect(counted().overall).toMatchObject({ hits: 0, misses: 0, hitRate: 0, totalRequests: 0 });
  });

  test('refuses options and keys that it cannot work with', async () => {
    const { cache } = make();
    const call = cache.getOrLoad as unknown as (...all: unknown[]) => Promise<unknown>;
    const loader = async () => 1;
    for (const all of [
      [devices, loader, { tttl: 1 }],
      [devices, loader, { ttl: 0 }],
      [devices, loader, { ttl: '5 minutes' }],
      [devices, 7],
      ['ck:c:tenant:{a}:devices', loader],
      [undefined, loader],
      [{ ...devices, resource: { ...devices.resource, namespace: 'other' } }, loader],
    ]) {
      await expect(call.apply(cache, all)).rejects.toEqual(argument);
    }
  });

  test('refuses calls after close(), which waits for loads that somebody waits for', async () => {
    const { cache } = make();
    const { load, began } = heldLoader();
    const caller = cache.getOrLoad(devices, load);
    await settled();
    let closed = false;
    const closing = cache.close().then(() => {
      closed = true;
    });
    await settled();
    expect(closed).toBe(false);
    began[0]?.resolve('value');
    expect(await caller).toBe('value');
    await closing;
    for (const call of [
      cache.getOrLoad(devices, load),
      cache.set(devices, 1),
      cache.invalidate(devices),
      cache.invalidateTags(keys.tag('acme', 'devices')),
      cache.clear(),
    ]) {
      await expect(call).rejects.toMatchObject({ code: 'CACHE_CLOSED' });
    }
    await cache.close();
  });

  test('aborts a refresh that nobody waits for when it is closed', async () => {
    const { cache, clock } = make();
    await cache.getOrLoad(stats, async () => 'old');
    await clock.advance(70_000);
    let signal: AbortSignal | undefined;
    await cache.getOrLoad(stats, (context) => {
      signal = context.signal;
      return new Promise(() => {});
    });
    await settled();
    await cache.close();
    expect(signal?.aborted).toBe(true);
    expect(clock.timers).toBe(0);
  });
});

describe('getOrLoad() in memory', () => {
  test('returns the promise that the entry keeps', async () => {
    const cache = createCache();
    await cache.getOrLoad(devices, async () => 1);
    const hit = cache.getOrLoad(devices, async () => 2);
    expect(cache.getOrLoad(devices, async () => 3)).toBe(hit);
  });

  test('holds at most maxEntries, and keeps what is read again', async () => {
    const cache = createCache({ memory: { maxEntries: 100 } });
    const load = vi.fn(async () => 1);
    for (let limit = 0; limit < 1_000; limit++) {
      await cache.getOrLoad(keys.calls({ tenant: 'a', limit }), load);
      await cache.getOrLoad(keys.calls({ tenant: 'a', limit: 0 }), load);
    }
    expect(load).toHaveBeenCalledTimes(1_000);
    expect(cache.metrics().memory).toMatchObject({ entries: 100, maxEntries: 100, evictions: 900 });
  });

  test('holds at most maxBytes, and its metrics say how many it holds', async () => {
    const cache = createCache({ memory: { maxBytes: 100_000 } });
    for (let limit = 0; limit < 100; limit++) {
      await cache.getOrLoad(keys.calls({ tenant: 'a', limit }), async () => 'x'.repeat(5_000));
    }
    const { bytes = 0, maxBytes, entries } = cache.metrics().memory;
    expect(maxBytes).toBe(100_000);
    expect(bytes).toBeGreaterThan(5_000 * entries);
    expect(bytes).toBeLessThanOrEqual(100_000);
    expect(entries).toBeGreaterThan(5);
    await cache.clear();
    expect(createCache().metrics().memory).not.toHaveProperty('bytes');
  });

  test('leaves nothing behind of loads that failed', async () => {
    const cache = createCache();
    for (let limit = 0; limit < 1_000; limit++) {
      await cache
        .getOrLoad(keys.calls({ tenant: 'a', limit }), async () => {
          throw new Error('no');
        })
        .catch(() => {});
    }
    expect(cache.metrics().memory.entries).toBe(0);
  });
});

test('PBX-13 a refresh that begins the moment an entry is stale loads, however long the process was busy before', async () => {
  const cache = createCache({ remote: memoryRemoteTier() });
  const policy = { ttl: 100, staleWhileRevalidate: '1m' } as const;
  await cache.get(devices);
  await vi.waitFor(() => expect(cache.metrics().memory.trusted).toBe(true));
  await cache.getOrLoad(devices, async () => ['old'], policy);
  // What time it is by the clock of hits, which no timer moves on while the process is busy.
  cache.peek(devices);
  const end = Date.now() + 100;
  while (Date.now() < end);
  const load = vi.fn(async () => ['new']);
  expect(await cache.read(devices, load, policy)).toMatchObject({ value: ['old'], state: 'stale' });
  await settled();
  expect(load).toHaveBeenCalledOnce();
  await cache.close();
});
