import { describe, expect, test } from 'vitest';
import { createCache, isCacheKitError } from '../src/index.ts';
import { devices, kept, keys, settled } from './keys.ts';
import { setups } from './setups.ts';

interface Phone {
  name: string;
  lines: number[];
}

const phone = (): Phone => ({ name: 'phone', lines: [1] });

describe.each(setups)('what callers have of a value %s', (_name, make) => {
  test('freeze: the very same object, which cannot be changed', async () => {
    const { cache } = make();
    const loaded = (await cache.getOrLoad(devices, async () => phone())) as Phone;
    expect(() => loaded.lines.push(2)).toThrow(TypeError);
    await cache.getOrLoad(devices, async () => phone());
    expect(await cache.getOrLoad(devices, async () => phone())).toEqual(phone());
  });

  test('freeze: also what is below an object that was frozen before, and circles end', async () => {
    const { cache } = make();
    const circle: { self?: unknown; lines: number[] } = { lines: [1] };
    circle.self = circle;
    const values = [Object.freeze({ phone: phone() }), Object.freeze([phone()]), Object.freeze(circle)];
    for (const [limit, value] of values.entries()) {
      const loaded = await cache.getOrLoad(keys.calls({ tenant: 'acme', limit }), async () => value);
      expect(loaded).toBe(value);
      const [inner] = Object.values(loaded as object) as { lines: number[] }[];
      expect(() => (inner?.lines ?? (inner as unknown as number[])).push(2)).toThrow(TypeError);
    }
  });

  test('clone: a copy of their own, whichever way they come by it', async () => {
    const { cache, clock } = make({ memory: { share: 'clone' } });
    const spoil = (value: unknown) => {
      (value as Phone).name = 'spoilt';
      (value as Phone).lines.push(666);
    };
    const loaded = phone();
    const both = await Promise.all([
      cache.getOrLoad(kept, async () => loaded),
      cache.getOrLoad(kept, async () => loaded),
    ]);
    expect(both[0]).not.toBe(both[1]);
    for (const value of [...both, loaded]) spoil(value);
    for (let turn = 0; turn < 2; turn++) {
      for (const read of [
        () => cache.getOrLoad(kept, async () => 'no'),
        () => cache.get(kept),
        async () => (await cache.getMany([kept]))[0],
        async () => cache.peek(kept) ?? phone(),
        async () => (await cache.read(kept, async () => 'no')).value,
      ]) {
        const value = await read();
        expect(value).toEqual(phone());
        spoil(value);
      }
    }
    await clock.advance(61_000);
    const fails = async ({ stale }: { stale: unknown }) => {
      spoil(stale);
      throw new Error('no');
    };
    expect(await cache.getOrLoad(kept, fails)).toEqual(phone());
    const mine = phone();
    await cache.set(devices, mine);
    spoil(mine);
    expect(await cache.get(devices)).toEqual(phone());
  });

  test('clone: a loader still says that the old value holds', async () => {
    const { cache, clock } = make({ memory: { share: 'clone' } });
    await cache.getOrLoad(kept, async () => phone());
    await clock.advance(61_000);
    await cache.getOrLoad(kept, async ({ notModified }) => notModified());
    expect(await cache.read(kept, async () => 'no')).toMatchObject({ state: 'hit', value: phone() });
  });

  test('clone: what cannot be copied is given to its callers and kept in no memory', async () => {
    const { cache } = make({ memory: { share: 'clone' } });
    const told: unknown[] = [];
    cache.on('unstorable', (event) => told.push(event));
    const value = { call: () => 1 };
    expect(await cache.getOrLoad(devices, async () => value)).toBe(value);
    await settled();
    expect(told.length).toBeGreaterThan(0);
    expect(cache.metrics().memory.entries).toBe(0);
  });
});

test('reference: the very same object, as it is', async () => {
  const cache = createCache({ memory: { share: 'reference' } });
  const value = phone();
  expect(await cache.getOrLoad(devices, async () => value)).toBe(value);
  expect(Object.isFrozen(value)).toBe(false);
  expect(await cache.getOrLoad(devices, async () => 'no')).toBe(value);
});

describe('a bound of bytes', () => {
  test('is kept, whatever comes', async () => {
    const cache = createCache({ memory: { maxBytes: 100_000 } });
    for (let limit = 0; limit < 1_000; limit++) {
      await cache.set(keys.calls({ tenant: 'acme', limit }), 'x'.repeat(limit * 3));
    }
    const { entries } = cache.metrics().memory;
    expect(entries).toBeGreaterThan(20);
    expect(entries).toBeLessThan(200);
  });

  test('keeps a value that alone takes more out of memory, and gives it to its callers', async () => {
    const cache = createCache({ memory: { maxBytes: 10_000 } });
    const small = keys.calls({ tenant: 'acme', limit: 1 });
    await cache.set(small, 1);
    const big = 'x'.repeat(20_000);
    expect(await cache.getOrLoad(devices, async () => big)).toBe(big);
    await cache.set(devices, big);
    expect(await cache.get(devices)).toBeUndefined();
    expect(await cache.get(small)).toBe(1);
  });

  test('refuses options that are none', () => {
    for (const memory of [
      { maxBytes: 0 },
      { maxBytes: '1MB' },
      { share: 'copy' },
      { maxEntries: 0 },
      { maxSize: 1 },
    ]) {
      try {
        createCache({ memory: memory as never });
        expect.unreachable();
      } catch (error) {
        expect(isCacheKitError(error, 'INVALID_CONFIGURATION')).toBe(true);
      }
    }
  });
});
