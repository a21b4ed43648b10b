import { describe, expect, test, vi } from 'vitest';
import { createCache, defineKeys, isCacheKitError, resource } from '../src/index.ts';
import { FakeClock, MemoryRemote, memoryRemoteTier } from '../src/testing/index.ts';
import { devices, keys, settled } from './keys.ts';
import { setups } from './setups.ts';

const argument = expect.toSatisfy((error) => isCacheKitError(error, 'INVALID_ARGUMENT'));
const circle = () => {
  const value: { self?: unknown } = {};
  value.self = value;
  return value;
};
const unserialisable: [string, () => unknown][] = [
  ['a circle', circle],
  ['a bigint', () => 1n],
  ['a function', () => () => 1],
  ['a symbol', () => Symbol('x')],
];

describe.each(setups)('bad input %s', (_name, make) => {
  test('undefined from a loader, and as a value, is refused', async () => {
    const { cache } = make();
    await expect(cache.getOrLoad(devices, async () => undefined)).rejects.toEqual(argument);
    await expect(cache.set(devices, undefined)).rejects.toEqual(argument);
    await expect(cache.setMany([[devices, undefined]])).rejects.toEqual(argument);
    expect(await cache.get(devices)).toBeUndefined();
  });

  test('what is no key, no tag and no loader is refused by every verb', async () => {
    const { cache } = make();
    const foreign = defineKeys({ namespace: 'other', scope: 'global', resources: { a: resource() } }).a();
    for (const key of [undefined, null, 'ck:c:x', {}, foreign] as never[]) {
      const load = async () => 1 as never;
      for (const call of [
        () => cache.getOrLoad(key, load),
        () => cache.read(key, load),
        () => cache.refresh(key, load),
        () => cache.get(key),
        () => cache.has(key),
        () => cache.getMany([key]),
        () =>
          cache.getManyOrLoad(
            ['a'],
            () => key,
            async () => [1 as never],
          ),
        () => cache.set(key, 1 as never),
        () => cache.setMany([[key, 1 as never]]),
        () => cache.invalidate(key),
        () => cache.delete(key),
        () => cache.inspect(key),
      ]) {
        await expect(call()).rejects.toEqual(argument);
      }
      expect(() => cache.peek(key)).toThrow('key');
    }
    for (const tag of [undefined, 'devices', { wire: 'other:c:global:#x' }] as never[]) {
      await expect(cache.invalidateTags(tag)).rejects.toEqual(argument);
    }
    for (const loader of [undefined, 1, {}] as never[]) {
      await expect(cache.getOrLoad(devices, loader)).rejects.toEqual(argument);
    }
  });

  test('a key over 1 kB and 10,000 tags are refused', async () => {
    const { cache } = make();
    const many = Array.from({ length: 10_000 }, (_, index) => `tag-${index}`);
    const space = defineKeys({ scope: 'tenant', resources: { tagged: resource({ tags: many }) } });
    const call = () => space.tagged({ tenant: 'acme' });
    expect(call).toThrow('16384');
    expect(() => keys.tag('acme', 'x'.repeat(1_100))).toThrow('1024');
    const load = vi.fn(async ({ set }) => {
      set({ tags: many.map((name) => keys.tag('acme', name)) });
      return 1;
    });
    await expect(cache.getOrLoad(devices, load)).rejects.toEqual(argument);
    expect(await cache.getOrLoad(devices, async () => 2)).toBe(2);
  });
});

test('options that are unknown or wrong are refused when the cache is made', () => {
  const wrong = { INVALID_CONFIGURATION: true };
  for (const options of [
    { ttl: '1m' },
    { memory: { max: 1 } },
    { memory: { maxEntries: -1 } },
    { memory: { maxBytes: 0 } },
    { memory: { share: 'copy' } },
    { policy: { ttl: '5 minutes' } },
    { policy: { ttl: 0 } },
    { policy: { timeout: { hard: -1 } } },
    { namespace: 'a:b' },
    { onUnreached: 'retry' },
    { remote: {} },
    { codec: {} },
  ]) {
    let code: unknown;
    try {
      createCache(options as never);
    } catch (error) {
      code = (error as { code?: unknown }).code;
    }
    expect(wrong, JSON.stringify(options)).toHaveProperty(String(code));
  }
});

test('a value over the byte bound: its callers have it, memory does not keep it, the remote tier does', async () => {
  const clock = new FakeClock();
  const remote = new MemoryRemote({ clock });
  const [a, b] = [1, 2].map(() =>
    createCache({ clock, remote: memoryRemoteTier({ remote }), memory: { maxBytes: 10_000 } }),
  );
  const large = 'x'.repeat(20_000);
  expect(await a?.getOrLoad(devices, async () => large)).toBe(large);
  expect(a?.peek(devices)).toBeUndefined();
  expect(a?.metrics().memory).toMatchObject({ entries: 0, bytes: 0 });
  expect(await b?.getOrLoad(devices, async () => 'loaded again')).toBe(large);
  expect(await a?.getOrLoad(devices, async () => 'loaded again')).toBe(large);
});

describe('a value that cannot be serialised', () => {
  test.each(unserialisable)(
    '%s: the caller has it, nothing is stored, the lease is given back',
    async (_, value) => {
      const clock = new FakeClock();
      const remote = new MemoryRemote({ clock });
      const [a, b] = [1, 2].map(() => createCache({ clock, remote: memoryRemoteTier({ remote }) }));
      const told = vi.fn();
      a?.on('unstorable', told);
      const given = value();
      expect(await a?.getOrLoad(devices, async () => given)).toBe(given);
      await settled();
      expect(told).toHaveBeenCalledTimes(1);
      expect(remote.get(devices.wire)).toBeUndefined();
      // No time passes: nobody waits for a lease.
      expect(await b?.getOrLoad(devices, async () => 'mine')).toBe('mine');
      await expect(a?.set(devices, value())).rejects.toEqual(argument);
      expect(await a?.get(devices)).toBe('mine');
    },
  );

  test('among others in one call, it alone is not stored', async () => {
    const clock = new FakeClock();
    const cache = createCache({ clock, remote: memoryRemoteTier({ clock }) });
    const of = (limit: number) => keys.calls({ tenant: 'acme', limit });
    const got = await cache.getManyOrLoad([1, 2], of, async (ids) =>
      ids.map((id) => (id === 1 ? circle() : 'stored')),
    );
    expect(got[1]).toBe('stored');
    await settled();
    expect(await cache.getMany([of(1), of(2)])).toEqual([undefined, 'stored']);
    await expect(
      cache.setMany([
        [of(3), 1],
        [of(4), 1n],
      ]),
    ).rejects.toEqual(argument);
    expect(await cache.get(of(3))).toBeUndefined();
  });
});
