import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, test, vi } from 'vitest';
import { type Cache, createCache, isCacheKitError, type LoadContext } from '../src/index.ts';
import { FakeClock, MemoryRemote, memoryRemoteTier } from '../src/testing/index.ts';
import { devices, heldLoader, kept, keys, settled, stats } from './keys.ts';
import { setups } from './setups.ts';

const argument = expect.toSatisfy((error) => isCacheKitError(error, 'INVALID_ARGUMENT'));
const extra = keys.tag('acme', 'extra');
const tagged = (value: unknown) => (context: LoadContext<unknown>) => {
  context.set({ tags: [extra] });
  return value;
};

describe.each(setups)('a loader %s', (_name, make) => {
  test('says that the old value still holds, which begins a new life and is not written again', async () => {
    const { cache, clock, tier } = make();
    await cache.getOrLoad(kept, async () => ({ etag: 'a' }));
    await clock.advance(70_000);
    const load = vi.fn(async ({ stale, notModified }: LoadContext<unknown>) => {
      expect(stale).toEqual({ etag: 'a' });
      return notModified();
    });
    const commits = tier?.calls.commit;
    expect(await cache.read(kept, load)).toMatchObject({ value: { etag: 'a' }, state: 'miss' });
    expect(tier?.calls.commit).toBe(commits);
    await clock.advance(59_000);
    expect(await cache.read(kept, load)).toMatchObject({ value: { etag: 'a' }, state: 'hit' });
    await clock.advance(2_000);
    await cache.getOrLoad(kept, load);
    expect(load).toHaveBeenCalledTimes(2);
  });

  test.each(['early', 'late'])(
    'that adds a tag %s gives what is older than its invalidation to nobody who came after',
    async (when) => {
      const { cache } = make();
      const { load, began } = heldLoader();
      const before = cache.getOrLoad(kept, async (context) => {
        if (when === 'early') context.set({ tags: [extra] });
        return tagged(await load())(context);
      });
      await settled();
      await cache.invalidateTags(extra);
      const again = vi.fn(tagged('new'));
      const after = [
        cache.getOrLoad(kept, again),
        cache.read(kept, again).then(({ value }) => value),
        cache.getOrLoad(kept, again, { signal: new AbortController().signal }),
        cache
          .getManyOrLoad(
            ['a'],
            () => kept,
            async () => ['new'],
          )
          .then(([value]) => value),
      ];
      await settled();
      began[0]?.resolve('old');
      expect(await before).toBe('old');
      expect(await Promise.all(after)).toEqual(Array(4).fill('new'));
    },
  );

  test('is shared by those who came after an invalidation of a tag that its value does not carry', async () => {
    const { cache } = make();
    const { load, began } = heldLoader();
    const before = cache.getOrLoad(kept, load);
    await settled();
    await cache.invalidateTags(extra);
    const after = cache.getOrLoad(kept, load);
    await settled();
    began[0]?.resolve('one');
    expect([await before, await after]).toEqual(['one', 'one']);
    expect(began).toHaveLength(1);
  });

  test('that says the old value still holds keeps the tags of it, and adds its own', async () => {
    const { cache } = make();
    const unchanged = async ({ notModified }: LoadContext<unknown>) => notModified();
    await cache.getOrLoad(kept, tagged(1));
    expect(await cache.refresh(kept, unchanged)).toBe(1);
    expect(await cache.get(kept)).toBe(1);
    await cache.invalidateTags(extra);
    expect(await cache.get(kept)).toBeUndefined();

    const other = keys.tag('acme', 'other');
    for (const tag of [extra, other]) {
      await cache.getOrLoad(kept, tagged(1));
      await cache.refresh(kept, async ({ set, notModified }) => {
        set({ tags: [other] });
        return notModified();
      });
      expect(await cache.get(kept)).toBe(1);
      await cache.invalidateTags(tag);
      expect(await cache.get(kept)).toBeUndefined();
    }
  });

  test('that says there still is no value keeps that for negativeTtl, and not for ttl', async () => {
    const { cache, clock } = make();
    await cache.getOrLoad(devices, async () => null);
    await cache.refresh(devices, async ({ notModified }) => notModified());
    await clock.advance(29_000);
    expect(await cache.get(devices)).toBeNull();
    await clock.advance(2_000);
    expect(await cache.get(devices)).toBeUndefined();
  });

  test('runs in the async context of its own caller, whoever asks in the same tick, and when the tier is away', async () => {
    const context = new AsyncLocalStorage<string>();
    const { cache, clock, tier } = make();
    const names = ['ann', 'bob', 'eve'];
    const seen = async (tenants = names) => {
      const reads = tenants.map((tenant) =>
        context.run(tenant, () => cache.read(keys.stats({ tenant }), async () => context.getStore())),
      );
      return (await Promise.all(reads)).map(({ value }) => value);
    };
    const loads = vi.fn(() => context.getStore());
    expect(await seen()).toEqual(names);
    // So often that a load is asked for without looking first.
    for (let round = 0; round < 10; round++) {
      const others = names.map((name) => `${name} ${round}`);
      expect(await seen(others)).toEqual(others);
    }
    await clock.advance(70_000);
    // The refresh behind a stale answer is that of the caller too.
    for (const tenant of ['ann', 'bob']) {
      context.run(tenant, () => void cache.getOrLoad(keys.stats({ tenant }), async () => loads()));
    }
    await settled();
    await clock.advance(300);
    await vi.waitFor(() => expect(loads).toHaveBeenCalledTimes(2));
    expect(loads.mock.results.map(({ value }) => value)).toEqual(['ann', 'bob']);
    await cache.clear();
    tier?.fail();
    expect(await seen()).toEqual(names);
    await cache.close();
  });

  test('cannot say so without an old value', async () => {
    const { cache } = make();
    await expect(cache.getOrLoad(devices, ({ notModified }) => notModified())).rejects.toEqual(argument);
  });

  test('that found its value unchanged does not bring back what was invalidated meanwhile', async () => {
    const { cache, clock } = make();
    for (const invalidate of [() => cache.invalidate(kept), () => cache.clear()]) {
      await cache.getOrLoad(kept, async () => 'old');
      await clock.advance(70_000);
      const gate = Promise.withResolvers<void>();
      const early = cache.getOrLoad(kept, async ({ notModified }) => {
        await gate.promise;
        return notModified();
      });
      await settled();
      await invalidate();
      gate.resolve();
      await early;
      await settled();
      expect(await cache.getOrLoad(kept, async () => 'new')).toBe('new');
      await cache.clear();
    }
  });

  test('sets the ttl of what it gives', async () => {
    const { cache, clock } = make();
    const load = vi.fn(async ({ set }: LoadContext<unknown>) => {
      set({ ttl: '10s' });
      return 1;
    });
    await cache.getOrLoad(devices, load);
    await clock.advance(9_000);
    await cache.getOrLoad(devices, load);
    expect(load).toHaveBeenCalledTimes(1);
    await clock.advance(1_000);
    await cache.getOrLoad(devices, load);
    expect(load).toHaveBeenCalledTimes(2);
  });

  test('sets how long "does not exist" is kept', async () => {
    const { cache, clock } = make();
    const load = vi.fn(async ({ set }: LoadContext<unknown>) => {
      set({ negativeTtl: '5s' });
      return null;
    });
    await cache.getOrLoad(devices, load);
    await clock.advance(4_000);
    await cache.getOrLoad(devices, load);
    expect(load).toHaveBeenCalledTimes(1);
    await clock.advance(1_000);
    await cache.getOrLoad(devices, load);
    expect(load).toHaveBeenCalledTimes(2);
    const never = vi.fn(async ({ set }: LoadContext<unknown>) => {
      set({ negativeTtl: 0 });
      return null;
    });
    await cache.getOrLoad(stats, never);
    await cache.getOrLoad(stats, never);
    expect(never).toHaveBeenCalledTimes(2);
  });

  test('says nothing of what is up to those who read its value', async () => {
    const { cache } = make();
    for (const settings of [
      { staleIfError: '1h' },
      { staleWhileRevalidate: 0 },
      { errorTtl: 1 },
      { timeout: {} },
    ]) {
      const load = async ({ set }: LoadContext<unknown>) => {
        set(settings as never);
        return 1;
      };
      await expect(cache.getOrLoad(devices, load)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
  });

  test('adds tags, by which its value is invalidated', async () => {
    const { cache } = make();
    await cache.getOrLoad(devices, tagged('old'));
    expect(await cache.getOrLoad(devices, tagged('again'))).toBe('old');
    expect(await cache.getOrLoad(devices, tagged('again'))).toBe('old');
    await cache.invalidateTags(extra);
    expect(await cache.getOrLoad(devices, tagged('new'))).toBe('new');
  });

  test('adds a tag that was invalidated during the load, and stores nothing', async () => {
    const { cache } = make();
    const gate = Promise.withResolvers<void>();
    const early = cache.getOrLoad(devices, async (context) => {
      await gate.promise;
      return tagged('old')(context);
    });
    await settled();
    await cache.invalidateTags(extra);
    gate.resolve();
    expect(await early).toBe('old');
    await settled();
    expect(await cache.getOrLoad(devices, tagged('new'))).toBe('new');
  });

  test('is refused settings that are none', async () => {
    const { cache } = make();
    for (const wrong of [
      { ttl: 0 },
      { ttl: 'soon' },
      { tll: 1 },
      { timeout: { hard: 1 } },
      { tags: [{ wire: 'x' }] },
      7,
    ]) {
      const load = async ({ set }: LoadContext<unknown>) => set(wrong as never) ?? 1;
      await expect(cache.getOrLoad(devices, load)).rejects.toEqual(argument);
    }
  });
});

describe('several processes', () => {
  const two = () => {
    const clock = new FakeClock();
    const remote = new MemoryRemote({ clock });
    const caches = [1, 2].map(() => createCache({ clock, remote: memoryRemoteTier({ remote }) }));
    return { clock, remote, a: caches[0] as Cache, b: caches[1] as Cache };
  };

  test('trust a tag that came with the value no longer than until one of them invalidates it', async () => {
    const { a, b } = two();
    await a.getOrLoad(devices, tagged('old'));
    for (const cache of [a, b, a, b]) {
      expect(await cache.getOrLoad(devices, async () => 'no')).toBe('old');
    }
    expect([a.peek(devices), b.peek(devices)]).toEqual(['old', 'old']);
    await b.invalidateTags(extra);
    expect(await a.getOrLoad(devices, tagged('new'))).toBe('new');
    expect(await b.getOrLoad(devices, tagged('no'))).toBe('new');
  });

  test('see a tag invalidated by another during a load that adds it', async () => {
    const { a, b } = two();
    const { load, began } = heldLoader();
    const early = a.getOrLoad(devices, async (context) => tagged(await load())(context));
    await settled();
    await b.invalidateTags(extra);
    began[0]?.resolve('old');
    await early;
    await settled();
    for (const cache of [a, b]) expect(await cache.getOrLoad(devices, tagged('new'))).toBe('new');
  });

  test('see that another found the value unchanged', async () => {
    const { a, b, clock } = two();
    for (const cache of [a, b]) await cache.getOrLoad(kept, async () => 'same');
    await clock.advance(70_000);
    await a.getOrLoad(kept, async ({ notModified }) => notModified());
    expect(await b.read(kept, async () => 'no')).toMatchObject({ value: 'same', state: 'hit' });
  });
});
