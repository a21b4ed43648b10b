import { describe, expect, test, vi } from 'vitest';
import {
  type Codec,
  createCache,
  defineKeys,
  isCacheKitError,
  jsonCodec,
  type LoadContext,
  resource,
} from '../src/index.ts';
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
    // A key is no tag: to take it for one would invalidate nothing in silence.
    for (const tag of [undefined, 'devices', { wire: 'other:c:global:#x' }, devices] as never[]) {
      await expect(cache.invalidateTags(tag)).rejects.toEqual(argument);
      const adds = async ({ set }: LoadContext<unknown>) => {
        set({ tags: [tag] });
        return 1;
      };
      await expect(cache.getOrLoad(devices, adds)).rejects.toEqual(argument);
    }
    for (const loader of [undefined, 1, {}] as never[]) {
      await expect(cache.getOrLoad(devices, loader)).rejects.toEqual(argument);
    }
  });

  test('options of a call that are unknown or of the wrong kind are refused', async () => {
    const { cache } = make();
    const load = async () => 1;
    for (const options of [null, 5, '1m', { tll: 1 }, { signal: 5 }, { signal: {} }, { ttl: 0 }] as never[]) {
      for (const call of [
        () => cache.getOrLoad(devices, load, options),
        () => cache.read(devices, load, options),
        () => cache.readRaw(devices, load, options),
        () => cache.refresh(devices, load, options),
        () => cache.getManyOrLoad(['a'], () => devices, load as never, options),
      ]) {
        await expect(call(), JSON.stringify(options)).rejects.toEqual(argument);
      }
    }
    const contact = { ids: ['a'], key: () => devices, load: async (ids: readonly string[]) => ids };
    for (const options of [
      undefined,
      { ...contact, size: 5 },
      { ...contact, key: 5 },
      { ...contact, load: 5 },
    ]) {
      await expect(cache.warm(options as never), JSON.stringify(options)).rejects.toEqual(argument);
    }
    const how = { find: async () => 'a', key: () => devices, load };
    for (const via of [
      undefined,
      { ...how, match: () => true },
      { ...how, find: 5 },
      { ...how, matches: 5 },
    ]) {
      const call = cache.getOrLoadVia(keys.kept({ tenant: 'acme' }), via as never);
      await expect(call, JSON.stringify(via)).rejects.toEqual(argument);
    }
  });

  test('what can be gone through is a list, also a set', async () => {
    const { cache } = make();
    const load = vi.fn(async (ids: readonly string[]) => ids.map((id) => `of ${id}`));
    expect(await cache.getManyOrLoad(new Set(['a']) as never, () => devices, load)).toEqual(['of a']);
    expect(await cache.getMany(new Set([devices]) as never)).toEqual(['of a']);
    expect(await cache.getMany(new Set([devices, devices]) as never)).toHaveLength(1);
  });

  test('warm() goes through the ids that it was given, whoever changes the list meanwhile', async () => {
    const { cache } = make();
    const ids = ['a', 'b', 'c'];
    const loaded: string[] = [];
    await cache.warm({
      ids,
      batch: 1,
      key: (id) => keys.kept({ tenant: `t${id}` }),
      load: async ([id]) => {
        loaded.push(id as string);
        ids.length = 0;
        return [id];
      },
    });
    expect(loaded).toEqual(['a', 'b', 'c']);
  });

  test('what is no list, function or signal is refused by those who take one', async () => {
    const { cache } = make();
    const load = async () => [1];
    for (const none of [null, 5, 'a', 7n, {}, Symbol('x')] as never[]) {
      for (const call of [
        () => cache.getMany(none),
        () => cache.getManyOrLoad(none, () => devices, load),
        () => cache.getManyOrLoad(['a'], none, load),
        () => cache.setMany(none),
        () => cache.setMany([none]),
        () => cache.warm({ ids: none, key: () => devices, load }),
        () => cache.warm({ ids: ['a'], key: () => devices, load, signal: none }),
        () => cache.refresh(devices, ({ set }) => set({ tags: none })),
        () => cache.invalidatePrefix(none),
      ]) {
        await expect(call(), String(call)).rejects.toEqual(argument);
      }
    }
    const told = cache.warm({ ids: ['a'], key: () => devices, load, onProgress: 5 as never });
    await expect(told).rejects.toEqual(argument);
    expect(() => keys.tag('acme', 7n as never)).toThrow(argument);
    expect(() => defineKeys({ scope: 'tenant' } as never)).toThrow('resources');
    expect(await cache.setMany(new Map([[devices, 1]]))).toBeGreaterThan(0);
    expect(await cache.get(devices)).toBe(1);
  });

  test('a function that wrap() made rejects and never throws, and is refused what it cannot work with', async () => {
    const { cache } = make();
    const of = cache.wrap(
      (tenant: string) => keys.devices({ tenant }),
      async () => 1,
    );
    await expect(of('')).rejects.toEqual(argument);
    for (const [key, load, options] of [
      [5, of, undefined],
      [of, 5, undefined],
      [of, of, { tll: 5 }],
      [of, of, { ttl: 0 }],
    ] as never[][]) {
      expect(() => cache.wrap(key as never, load as never, options)).toThrow(argument);
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
    { codec: { encode: jsonCodec.encode, decode: jsonCodec.decode } },
    { codec: { ...jsonCodec, id: 'long' } },
    { codec: { ...jsonCodec, id: '1' } },
    { clock: {} },
    { random: 5 },
    { policy: [] },
    { policy: { ttl: 1e300 } },
    null,
    5,
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

test('a tier that serves another namespace is refused, because memory would hear of no change', () => {
  const remote = Object.assign(memoryRemoteTier(), { namespace: 'ck' });
  expect(() => createCache({ namespace: 'app', remote })).toThrow(
    expect.toSatisfy((error) => isCacheKitError(error, 'INVALID_CONFIGURATION')),
  );
  expect(createCache({ remote }).namespace).toBe('ck');
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

/** A plain object that cannot be looked at. */
const untouchable = (): unknown => ({
  get name(): string {
    throw new Error('not now');
  },
});

/** More levels than any stack holds. */
function deep(): unknown {
  let value: unknown = {};
  for (let level = 0; level < 50_000; level++) value = { value };
  return value;
}

describe('a value that cannot be gone through', () => {
  test.each(['freeze', 'clone', 'reference'] as const)(
    'in mode %s: the caller has it, nothing is stored, the lease is given back',
    async (share) => {
      const clock = new FakeClock();
      const remote = new MemoryRemote({ clock });
      const memory = { share, maxBytes: 1_000_000 };
      const [a, b] = [1, 2].map(() => createCache({ clock, remote: memoryRemoteTier({ remote }), memory }));
      for (const cache of [a, createCache({ clock, memory })]) {
        const told = vi.fn();
        cache?.on('unstorable', told);
        const given = untouchable();
        expect((await cache?.getOrLoad(devices, async () => given)) === given).toBe(true);
        await settled();
        expect(told).toHaveBeenCalledTimes(1);
        expect(cache?.peek(devices)).toBeUndefined();
      }
      expect(remote.get(devices.wire)).toBeUndefined();
      // No time passes: nobody waits for a lease.
      expect(await b?.getOrLoad(devices, async () => 'mine')).toBe('mine');
    },
  );

  test.each(['freeze', 'clone', 'reference'] as const)(
    'in mode %s one of 50,000 levels hurts neither its callers nor those beside them',
    async (share) => {
      const clock = new FakeClock();
      const memory = { share, maxBytes: 1_000_000 };
      const of = (limit: number) => keys.calls({ tenant: 'acme', limit });
      for (const cache of [
        createCache({ clock, memory, remote: memoryRemoteTier({ clock }) }),
        createCache({ clock, memory }),
      ]) {
        const both = [
          cache.getOrLoad(of(1), async () => deep()),
          cache.getOrLoad(of(2), async () => 'other'),
        ];
        expect(typeof (await both[0])).toBe('object');
        expect(await both[1]).toBe('other');
        expect(await cache.getOrLoad(of(2), async () => 'loaded again')).toBe('other');
        expect(await cache.getOrLoad(of(1), async () => 'loaded again')).toBeDefined();
      }
    },
  );

  test('one without JSON is refused by getRaw(), wherever it is, and by no read beside it', async () => {
    const clock = new FakeClock();
    const remote = new MemoryRemote({ clock });
    const codec: Codec = { id: 'x', encode: String, decode: BigInt };
    const start = (memory?: false) =>
      createCache({
        clock,
        remote: memoryRemoteTier({ remote }),
        codec,
        ...(memory === false && { memory }),
      });
    await start().set(devices, 1n);
    for (const cache of [start(), start(false)]) {
      for (let turn = 0; turn < 2; turn++) {
        const both = await Promise.allSettled([cache.getRaw(devices), cache.get(devices)]);
        expect(both).toEqual([
          { status: 'rejected', reason: argument },
          { status: 'fulfilled', value: 1n },
        ]);
        await expect(cache.readRaw(devices, async () => 2n)).rejects.toEqual(argument);
      }
    }
  });
});

test('a codec that answers in a promise stores nothing', async () => {
  const clock = new FakeClock();
  const codec = { id: 'x', encode: async () => 'text', decode: (text: string) => text };
  const cache = createCache({ clock, remote: memoryRemoteTier({ clock }), codec: codec as never });
  const told = vi.fn();
  cache.on('unstorable', told);
  expect(await cache.getOrLoad(devices, async () => 'loaded')).toBe('loaded');
  await settled();
  expect(told).toHaveBeenCalledTimes(1);
  await expect(cache.set(devices, 'set')).rejects.toEqual(argument);
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
