import { describe, expect, test, vi } from 'vitest';
import { buildCacheHash, createCompat } from '../src/compat/index.ts';
import { createCache, defineKeys, isCacheKitError, resource, stableHash } from '../src/index.ts';
import { FakeClock, type MemoryRemoteTier, memoryRemoteTier } from '../src/testing/index.ts';

const argument = expect.toSatisfy((error) => isCacheKitError(error, 'INVALID_ARGUMENT'));

describe.each([
  ['without a remote tier', (): MemoryRemoteTier | undefined => undefined],
  ['with a remote tier', (): MemoryRemoteTier | undefined => memoryRemoteTier()],
] as const)('createCompat() %s', (_name, tierOf) => {
  function setup() {
    const remote = tierOf();
    const cache = createCache(remote && { remote });
    return { cache, remote, ...createCompat(cache) };
  }

  test('RC-2 stores, reads and removes by keys that are text', async () => {
    const { getCached, setCached, invalidateCache, cache } = setup();
    const key = `tenant:acme:txns:${buildCacheHash({ page: 1 })}`;
    expect(await getCached(key)).toBeNull();
    expect(await setCached(key, [{ id: 't1' }], 60)).toBe(true);
    expect(await getCached<{ id: string }[]>(key)).toEqual([{ id: 't1' }]);
    await setCached('rates', 7, 60);
    expect(await getCached('rates')).toBe(7);
    expect(await invalidateCache(key, 'rates')).toBe(true);
    expect(await getCached(key)).toBeNull();
    expect(await getCached('rates')).toBeNull();
    expect(cache.metrics().cache.unsafe).toMatchObject({ hits: 2, misses: 3 });
  });

  test('RC-2 invalidates by a pattern what begins with whole parts, and nothing else', async () => {
    const { getCached, setCached, invalidatePattern } = setup();
    const all = [
      'tenant:abc:settings',
      'tenant:abc:recon:h1',
      'tenant:abc:recon:h2:page',
      'tenant:abc:reconciled:h1',
      'tenant:abcd:settings',
      'tenant:abcd:recon:h1',
      'rates:eur:usd',
      'rates',
    ];
    const fill = async () => {
      for (const key of all) await setCached(key, key, 60);
    };
    const left = async () => {
      const there: string[] = [];
      for (const key of all) if ((await getCached(key)) !== null) there.push(key);
      return there;
    };
    const gone: Record<string, string[]> = {
      'tenant:abc:recon:*': ['tenant:abc:recon:h1', 'tenant:abc:recon:h2:page'],
      'tenant:abc:recon:h2:*': ['tenant:abc:recon:h2:page'],
      'tenant:abc:*': all.slice(0, 4),
      'rates:*': ['rates:eur:usd'],
      'tenant:abc:settings': ['tenant:abc:settings'],
      '*': all,
    };
    for (const [pattern, expected] of Object.entries(gone)) {
      await fill();
      expect(await left()).toEqual(all);
      expect(await invalidatePattern(pattern)).toBe(true);
      expect(await left(), pattern).toEqual(all.filter((key) => !expected.includes(key)));
    }
  });

  test('RC-3 shares entries and tenants with a key space', async () => {
    const { cache, getCached, setCached, invalidatePattern, invalidateCache } = setup();
    const keys = defineKeys({
      scope: 'tenant',
      resources: {
        settings: resource<string>(),
        txns: resource<string, { page: number }>({ tags: ['txns'] }),
      },
    });
    const txns = keys.txns({ tenant: 'acme', page: 1 });
    const raw = `tenant:acme:txns:${buildCacheHash({ page: 1 })}`;
    await cache.set(txns, 'typed');
    expect(await getCached(raw)).toBe('typed');
    await setCached(raw, 'raw', 60);
    expect(await cache.get(txns)).toBe('raw');
    await invalidatePattern('tenant:acme:txns:*');
    expect(await cache.get(txns)).toBeUndefined();
    await cache.set(keys.settings({ tenant: 'acme' }), 'typed');
    await invalidateCache('tenant:acme:settings');
    expect(await cache.get(keys.settings({ tenant: 'acme' }))).toBeUndefined();
    await setCached('tenant:acme:settings', 'raw', 60);
    await cache.invalidateTags(keys.all('acme'));
    expect(await getCached('tenant:acme:settings')).toBeNull();
  });

  test('refuses what is no key and patterns that only a search could answer', async () => {
    const { getCached, setCached, invalidatePattern } = setup();
    for (const key of ['', 'tenant::settings', 'x'.repeat(1_100)]) {
      await expect(getCached(key)).rejects.toEqual(argument);
    }
    await expect(setCached('a', 1, 0)).rejects.toEqual(argument);
    await expect(setCached('a', 1, Number.NaN)).rejects.toEqual(argument);
    for (const pattern of [
      'tenant:*',
      'tenant:*:settings',
      'tenant:ab*',
      'tenant:abc:re*',
      'tenant:a?c:*',
      '*:settings',
      'a:b:c:d:e:*',
    ]) {
      await expect(invalidatePattern(pattern), pattern).rejects.toEqual(argument);
    }
  });
});

describe('createCompat()', () => {
  test('RC-1 says that Redis is down, and throws nothing', async () => {
    const remote = memoryRemoteTier();
    const cache = createCache({ remote, memory: false });
    const { getCached, setCached, invalidateCache, invalidatePattern } = createCompat(cache);
    const told = vi.fn();
    cache.on('tierError', told);
    remote.fail();
    expect(await getCached('tenant:acme:settings')).toBeNull();
    expect(await setCached('tenant:acme:settings', 1, 60)).toBe(false);
    expect(await invalidateCache('tenant:acme:settings')).toBe(false);
    expect(await invalidatePattern('tenant:acme:*')).toBe(false);
    expect(told).toHaveBeenCalled();
  });

  test('keeps a value as long as it was told to', async () => {
    const clock = new FakeClock();
    const { getCached, setCached } = createCompat(createCache({ clock }));
    await setCached('tenant:acme:accounts', 1, 120);
    await clock.advance(119_999);
    expect(await getCached('tenant:acme:accounts')).toBe(1);
    await clock.advance(1);
    expect(await getCached('tenant:acme:accounts')).toBeNull();
  });

  test('RC-2 hashes parameters the same in any order of keys', () => {
    const from = new Date(0);
    expect(buildCacheHash({ a: 1, b: { c: undefined, d: from } })).toBe(
      buildCacheHash({ b: { d: from }, a: 1 }),
    );
    expect(buildCacheHash({ a: 1 })).not.toBe(buildCacheHash({ a: '1' }));
    expect(buildCacheHash({ a: 1 })).toBe(stableHash({ a: 1 }));
  });
});
