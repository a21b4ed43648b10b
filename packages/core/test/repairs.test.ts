import { describe, expect, test } from 'vitest';
import { type CacheEvents, createCache, isCacheKitError, tenantPrefix } from '../src/index.ts';
import { FakeClock, MemoryRemote, memoryRemoteTier } from '../src/testing/index.ts';
import { devices, keys, settled } from './keys.ts';

function two() {
  const clock = new FakeClock();
  const remote = new MemoryRemote({ clock });
  const tiers = [memoryRemoteTier({ remote }), memoryRemoteTier({ remote })] as const;
  const a = createCache({ clock, remote: tiers[0], onUnreached: 'repair' });
  const b = createCache({ clock, remote: tiers[1] });
  const told: CacheEvents['repair'][] = [];
  a.on('repair', (event) => told.push(event));
  return { clock, remote, tier: tiers[0], a, b, told };
}

const ways = [
  ['invalidate()', (cache: ReturnType<typeof two>['a']) => cache.invalidate(devices)],
  ['invalidateTags()', (cache) => cache.invalidateTags(keys.tag('acme', 'devices'))],
  ['invalidatePrefix()', (cache) => cache.invalidatePrefix(tenantPrefix('ck', 'c', 'acme'))],
  ['clear()', (cache) => cache.clear()],
] as [string, (cache: ReturnType<typeof two>['a']) => Promise<number>][];

describe('an invalidation that does not reach the remote tier, with onUnreached "repair"', () => {
  test.each(ways)('%s resolves, is carried out once the tier answers, and others see it', async (_, way) => {
    const { clock, tier, a, b, told } = two();
    for (const cache of [a, b, a, b]) await cache.getOrLoad(devices, async () => 'old');
    tier.fail();
    await way(a);
    expect(await a.health()).toMatchObject({ state: 'degraded', repairs: 1 });
    expect(await b.getOrLoad(devices, async () => 'new')).toBe('old');
    tier.recover();
    await clock.advance(1_000);
    expect(told.map(({ state }) => state)).toEqual(['pending', 'done']);
    expect(await b.getOrLoad(devices, async () => 'new')).toBe('new');
    expect(await a.health()).toMatchObject({ state: 'up', repairs: 0 });
  });

  test.each(ways)('%s: its process takes nothing old from the tier, not even before', async (_, way) => {
    const { tier, a } = two();
    await a.getOrLoad(devices, async () => 'old');
    tier.fail();
    await way(a);
    // The loader answers while the tier does not.
    expect(await a.getOrLoad(devices, async () => 'loaded')).toBe('loaded');
    tier.recover();
    await a.invalidate(keys.stats({ tenant: 'other' }));
    expect(await a.getOrLoad(keys.stats({ tenant: 'acme' }), async () => 1)).toBe(1);
    expect(await a.getOrLoad(devices, async () => 'new')).not.toBe('old');
  });

  test('is kept once, whatever its number, and thousands become one that drops everything', async () => {
    const { clock, tier, a, b, told } = two();
    for (const cache of [a, b]) await cache.getOrLoad(devices, async () => 'old');
    tier.fail();
    for (let time = 0; time < 5; time++) await a.invalidate(devices);
    expect(told.at(-1)).toEqual({ state: 'pending', pending: 1 });
    const many = Array.from({ length: 10_001 }, (_, limit) => keys.calls({ tenant: 'acme', limit }));
    await a.invalidate(...many);
    expect(told.at(-1)).toEqual({ state: 'pending', pending: 1 });
    tier.recover();
    await clock.advance(1_000);
    expect(await b.getOrLoad(devices, async () => 'new')).toBe('new');
  });

  test.each(ways)('%s is carried out once more if it was called again meanwhile', async (_, way) => {
    const { clock, tier, a, b } = two();
    tier.fail();
    await way(a);
    tier.recover();
    const calls = ['delete', 'bumpTags', 'time'] as const;
    const answers = calls.map((call) => tier.hold(call));
    await clock.advance(1_000);
    // What is replayed has been carried out, and is not answered yet; then the value is loaded, and changes.
    await b.getOrLoad(devices, async () => 'old');
    tier.fail();
    await way(a);
    tier.recover();
    for (const answer of answers) answer();
    await settled();
    await clock.advance(2_000);
    expect(await b.getOrLoad(devices, async () => 'new')).toBe('new');
    expect(await a.health()).toMatchObject({ repairs: 0 });
  });

  test('goes on trying', async () => {
    const { clock, tier, a, b } = two();
    await b.getOrLoad(devices, async () => 'old');
    tier.fail();
    await a.invalidate(devices);
    await clock.advance(60_000);
    tier.recover();
    await clock.advance(1_000);
    expect(await b.getOrLoad(devices, async () => 'new')).toBe('new');
  });

  test('is tried a last time at close(), and told as lost if that fails', async () => {
    for (const reachable of [true, false]) {
      const { clock, tier, a, told } = two();
      tier.fail();
      await a.invalidate(devices);
      if (reachable) tier.recover();
      await a.close();
      await settled();
      expect(told.at(-1)?.state).toBe(reachable ? 'done' : 'lost');
      expect(clock.timers).toBe(0);
    }
  });
});

test('without it the call rejects', async () => {
  const clock = new FakeClock();
  const tier = memoryRemoteTier({ clock });
  const cache = createCache({ clock, remote: tier });
  tier.fail();
  const failed = expect.toSatisfy((error) => isCacheKitError(error, 'TIER_FAILED'));
  await expect(cache.invalidate(devices)).rejects.toEqual(failed);
  expect(() => createCache({ onUnreached: 'ignore' as never })).toThrow('onUnreached');
});
