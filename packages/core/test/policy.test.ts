import { describe, expect, test, vi } from 'vitest';
import { aheadAt } from '../src/engine/steps/refresh-ahead.ts';
import {
  type Cache,
  type CachePolicy,
  createCache,
  defaultPolicy,
  defineKeys,
  isCacheKitError,
  resource,
  type Timer,
} from '../src/index.ts';
import { FakeClock, MemoryRemote, memoryRemoteTier } from '../src/testing/index.ts';
import { devices, heldLoader, kept, keys, settled, stats } from './keys.ts';
import { setups } from './setups.ts';

const fails = () => {
  const failure = new Error('no database');
  return {
    failure,
    load: vi.fn(async () => {
      throw failure;
    }),
  };
};

describe.each(setups)('a policy %s', (_name, make) => {
  test('errorTtl gives the error again for a while, without asking the loader', async () => {
    const { cache, clock } = make();
    const { failure, load } = fails();
    const policy: CachePolicy = { errorTtl: '2s' };
    for (let read = 0; read < 3; read++) {
      await expect(cache.getOrLoad(devices, load, policy)).rejects.toBe(failure);
    }
    expect(load).toHaveBeenCalledTimes(1);
    await clock.advance(2_000);
    await expect(cache.getOrLoad(devices, load, policy)).rejects.toBe(failure);
    expect(load).toHaveBeenCalledTimes(2);
    // An invalidation says that something changed, so it is worth asking again.
    await cache.invalidate(devices);
    expect(await cache.getOrLoad(devices, async () => 'back', policy)).toBe('back');
  });

  test('errorTtl gives no error from before an invalidation, whatever it was of', async () => {
    const { cache } = make();
    const policy: CachePolicy = { errorTtl: '1h' };
    const { load } = fails();
    const invalidations: (() => Promise<number>)[] = [
      () => cache.invalidate(devices),
      () => cache.invalidateTags(keys.tag('acme', 'devices')),
      () => cache.invalidatePrefix('ck:c:tenant:{acme}:'),
      () => cache.clear(),
      () => cache.set(devices, 'set').then(() => cache.invalidate(devices)),
    ];
    for (const invalidation of invalidations) {
      await expect(cache.getOrLoad(devices, load, policy)).rejects.toThrow();
      await invalidation();
      expect(await cache.getOrLoad(devices, async () => 'back', policy)).toBe('back');
      await cache.invalidate(devices);
    }
    // Nor to a caller who heard of an invalidation elsewhere.
    await expect(cache.getOrLoad(devices, load, policy)).rejects.toThrow();
    const minClock = await cache.invalidate(stats);
    expect(await cache.getOrLoad(devices, async () => 'back', { ...policy, minClock })).toBe('back');
  });

  test('without errorTtl every read asks the loader', async () => {
    const { cache } = make();
    const { load } = fails();
    for (let read = 0; read < 3; read++) await cache.getOrLoad(devices, load).catch(() => {});
    expect(load).toHaveBeenCalledTimes(3);
  });

  test('staleIfError asks a loader that fails less and less often, and at once after it came back', async () => {
    const { cache, clock } = make();
    await cache.getOrLoad(kept, async () => 'old');
    await clock.advance(61_000);
    const { load } = fails();
    for (let second = 0; second < 100; second++) {
      expect(await cache.getOrLoad(kept, load)).toBe('old');
      await clock.advance(1_000);
    }
    // After 1, 2, 4, 8, 16, 30 and 30 seconds.
    expect(load.mock.calls.length).toBeGreaterThanOrEqual(6);
    expect(load.mock.calls.length).toBeLessThanOrEqual(8);
    await clock.advance(30_000);
    expect(await cache.getOrLoad(kept, async () => 'new')).toBe('new');
    await clock.advance(61_000);
    expect(await cache.getOrLoad(kept, load)).toBe('new');
    const before = load.mock.calls.length;
    await clock.advance(1_000);
    expect(await cache.getOrLoad(kept, load)).toBe('new');
    expect(load.mock.calls.length).toBe(before + 1);
  });

  test('refreshAhead loads behind the readers before the value ends, once', async () => {
    // The draw says: one load time before the end.
    const { cache, clock } = make({ random: () => 1 - Math.exp(-1) });
    const policy: CachePolicy = { ttl: '1m' };
    const ahead = defineKeys({
      scope: 'tenant',
      resources: { report: resource<unknown>({ ...policy, refreshAhead: 1 }) },
    });
    const report = ahead.report({ tenant: 'acme' });
    const { load, began } = heldLoader();
    const first = cache.getOrLoad(report, load);
    await clock.advance(10_000);
    began[0]?.resolve('first');
    await first;
    await clock.advance(49_000);
    expect(await cache.getOrLoad(report, load)).toBe('first');
    expect(began).toHaveLength(1);
    await clock.advance(2_000);
    for (let read = 0; read < 5; read++) expect(await cache.getOrLoad(report, load)).toBe('first');
    await settled();
    expect(began).toHaveLength(2);
    expect(cache.metrics().cache.report).toMatchObject({ staleServed: 0 });
    began[1]?.resolve('second');
    await settled();
    expect(await cache.getOrLoad(report, load)).toBe('second');
    expect(began).toHaveLength(2);
  });

  test('a refresh ahead that fails leaves the value, and is not tried by every read', async () => {
    const { cache, clock } = make({ random: () => 0.999 });
    const ahead = defineKeys({
      scope: 'global',
      resources: { rates: resource<unknown>({ ttl: '1m', refreshAhead: 5 }) },
    });
    await cache.getOrLoad(ahead.rates(), async () => 'first');
    await clock.advance(59_990);
    const { load } = fails();
    for (let read = 0; read < 5; read++) {
      expect(await cache.getOrLoad(ahead.rates(), load)).toBe('first');
      await settled();
    }
    expect(load).toHaveBeenCalledTimes(1);
  });

  test('timeout.background false aborts what outlasts timeout.soft', async () => {
    const { cache, clock } = make();
    const policy: CachePolicy = { staleIfError: '10m', timeout: { soft: '100ms', background: false } };
    await cache.getOrLoad(kept, async () => 'old', policy);
    await clock.advance(61_000);
    let signal: AbortSignal | undefined;
    const caller = cache.getOrLoad(
      kept,
      (context) => {
        signal = context.signal;
        return new Promise(() => {});
      },
      policy,
    );
    await clock.advance(100);
    expect(await caller).toBe('old');
    expect(signal?.aborted).toBe(true);
  });

  test('jitter shortens the ttl by the key, never more than it may, and always alike', async () => {
    const { cache, clock } = make();
    const policy: CachePolicy = { ttl: '100s', jitter: 0.2 };
    const all = Array.from({ length: 100 }, (_, limit) => keys.calls({ tenant: 'acme', limit }));
    for (const key of all) await cache.getOrLoad(key, async () => 1, policy);
    await clock.advance(79_000);
    expect((await cache.getMany(all)).filter((value) => value === 1)).toHaveLength(100);
    await clock.advance(11_000);
    const alive = (await cache.getMany(all)).map((value) => value === 1);
    const left = alive.filter(Boolean).length;
    expect(left).toBeGreaterThan(25);
    expect(left).toBeLessThan(75);
    await clock.advance(11_000);
    expect((await cache.getMany(all)).filter((value) => value === 1)).toHaveLength(0);
    await cache.setMany(
      all.map((key) => [key, 1] as const),
      policy,
    );
    await clock.advance(90_000);
    expect((await cache.getMany(all)).map((value) => value === 1)).toEqual(alive);
  });
});

test.each([true, false])(
  'timeout.hard is kept though no timer takes so long (enabled: %s)',
  async (enabled) => {
    class PlatformClock extends FakeClock {
      override setTimeout(run: () => void, delayMs: number): Timer {
        return super.setTimeout(run, Math.min(delayMs, 0x7fff_ffff));
      }
    }
    const clock = new PlatformClock();
    const cache = createCache({ clock });
    if (!enabled) cache.switchOff();
    let ended: unknown;
    const read = cache.getOrLoad(devices, () => new Promise(() => {}), { timeout: { hard: '60d' } });
    read.catch((error) => {
      ended = error;
    });
    await clock.advance(60 * 86_400_000 - 1);
    expect(ended).toBeUndefined();
    await clock.advance(1);
    expect(ended).toMatchObject({ code: 'LOAD_TIMEOUT' });
    expect(clock.timers).toBe(0);
  },
);

test('refreshAhead is done by one process of all', async () => {
  const clock = new FakeClock();
  const remote = new MemoryRemote({ clock });
  const space = defineKeys({
    scope: 'global',
    resources: { rates: resource<unknown>({ ttl: '1m', refreshAhead: 1 }) },
  });
  const random = () => 1 - Math.exp(-1);
  let token = 0;
  const caches: Cache[] = [1, 2, 3].map(() => {
    token++;
    const own = token / 10;
    let draws = 0;
    // Tokens have to differ between processes; the draws of the policy are those that follow them.
    return createCache({
      clock,
      remote: memoryRemoteTier({ remote }),
      random: () => (draws++ < 2 ? own : random()),
    });
  });
  const { load, began } = heldLoader();
  const first = (caches[0] as Cache).getOrLoad(space.rates(), load);
  await clock.advance(10_000);
  began[0]?.resolve('first');
  await first;
  for (const cache of caches) await cache.getOrLoad(space.rates(), load);
  await clock.advance(55_000);
  for (const cache of caches) expect(await cache.getOrLoad(space.rates(), load)).toBe('first');
  await settled();
  expect(began).toHaveLength(2);
  began[1]?.resolve('second');
  await clock.advance(300);
  for (const cache of caches) expect(await cache.getOrLoad(space.rates(), load)).toBe('second');
});

test('refreshAhead begins one load time before the end on the average, never before half of the ttl', () => {
  const policy = { ...defaultPolicy, ttlMs: 1_000, refreshAhead: 1 };
  const entry = { kind: 'value' as const, freshUntil: 1_000, loadMs: 100 };
  const draws = Array.from({ length: 1_000 }, (_, index) => aheadAt(entry, policy, (index + 0.5) / 1_000));
  expect(draws.reduce((sum, at) => sum + 1_000 - at, 0) / draws.length).toBeCloseTo(100, -1);
  expect(Math.min(...draws)).toBeGreaterThanOrEqual(500);
  expect(Math.max(...draws)).toBeLessThanOrEqual(1_000);
  expect(aheadAt({ ...entry, kind: 'negative' }, policy, 0.5)).toBe(1_000);
  expect(aheadAt(entry, defaultPolicy, 0.5)).toBe(1_000);
});

test('a policy that is none is refused, by factories and calls', async () => {
  const wrong: CachePolicy[] = [
    { refreshAhead: -1 },
    { refreshAhead: 100 },
    { refreshAhead: '1' as never },
    { jitter: 1 },
    { jitter: -0.1 },
    { jitter: Number.NaN },
    { errorTtl: -1 },
    { errorTtl: '1 minute' as never },
    { ttl: 0 },
    { ttl: -1 },
    { ttl: Number.POSITIVE_INFINITY },
    { timeout: { hard: 0 } },
    { timeout: { background: 1 as never } },
    { timeout: { sofft: 1 } as never },
    { ttlMs: 1 } as never,
  ];
  const cache = createCache();
  for (const policy of wrong) {
    const argument = expect.toSatisfy((error) => isCacheKitError(error, 'INVALID_ARGUMENT'));
    expect(() => createCache({ policy })).toThrow();
    await expect(cache.getOrLoad(devices, async () => 1, policy)).rejects.toEqual(argument);
    await expect(cache.set(devices, 1, policy)).rejects.toEqual(argument);
  }
});
