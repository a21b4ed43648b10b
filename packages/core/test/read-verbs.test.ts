import { describe, expect, test, vi } from 'vitest';
import { createCache, defineKeys, isCacheKitError, resource, tenantPrefix } from '../src/index.ts';
import { FakeClock, MemoryRemote, memoryRemoteTier } from '../src/testing/index.ts';
import { devices, heldLoader, kept, keys, settled, stats } from './keys.ts';
import { setups } from './setups.ts';

const argument = expect.toSatisfy((error) => isCacheKitError(error, 'INVALID_ARGUMENT'));

interface Contact {
  readonly id: string;
  readonly phone: string;
}

const contacts = defineKeys({
  scope: 'tenant',
  resources: {
    contact: resource<Contact, { id: string }>({ ttl: '1h' }),
    contactByPhone: resource<string, { phone: string }>({ ttl: '1h' }),
  },
});
const contact = (id: string) => contacts.contact({ tenant: 'acme', id });

describe.each(setups)('%s', (_name, make) => {
  test('get() gives what is cached and loads nothing', async () => {
    const { cache, clock } = make();
    expect(await cache.get(devices)).toBeUndefined();
    expect(await cache.has(devices)).toBe(false);
    for (const value of [0, '', false, null, ['phone']]) {
      await cache.set(devices, value);
      expect(await cache.get(devices)).toEqual(value);
      expect(await cache.has(devices)).toBe(true);
    }
    await clock.advance(300_000);
    expect(await cache.get(devices)).toBeUndefined();
  });

  test('get() gives what is stale as long as it may be served, and not what is kept for errors', async () => {
    const { cache, clock } = make();
    await cache.setMany([
      [stats, 1],
      [kept, 1],
    ]);
    await clock.advance(70_000);
    expect(await cache.get(stats)).toBe(1);
    expect(await cache.get(kept)).toBeUndefined();
  });

  test('get() treats what is older than the minimum clock as missing', async () => {
    const { cache } = make();
    const minClock = await cache.set(devices, 1);
    expect(await cache.get(devices, { minClock })).toBe(1);
    expect(await cache.get(devices, { minClock: minClock + 1 })).toBeUndefined();
    await expect(cache.get(devices, { ttl: 1 } as never)).rejects.toEqual(argument);
    await expect(cache.get(devices, { minClock: -1 })).rejects.toEqual(argument);
  });

  test('getMany() has a place for each key, also of those that are not cached', async () => {
    const { cache } = make();
    await cache.set(contact('1'), { id: '1', phone: '555' });
    const names = async () =>
      (await cache.getMany([contact('1'), contact('2'), contact('3')])).map((found) => found?.id ?? 'nobody');
    expect(await names()).toEqual(['1', 'nobody', 'nobody']);
    cache.switchOff();
    expect(await names()).toEqual(['nobody', 'nobody', 'nobody']);
  });

  test('get() that an invalidation overtakes gives nothing old', async () => {
    const { cache, tier } = make();
    await cache.set(devices, 'old');
    const letGo = tier?.hold('getMany');
    const early = cache.get(devices);
    await settled();
    await cache.invalidate(devices);
    letGo?.();
    await early;
    expect(await cache.get(devices)).toBeUndefined();
  });

  test('getMany() keeps order and duplicates, and reads the tier once', async () => {
    const { cache, tier } = make();
    const all = [1, 2, 3].map((limit) => keys.calls({ tenant: 'acme', limit }));
    const [one, two, three] = all as [(typeof all)[0], (typeof all)[0], (typeof all)[0]];
    await cache.setMany([
      [one, 'one'],
      [three, 'three'],
    ]);
    const before = tier?.calls.getMany ?? 0;
    expect(await cache.getMany([three, two, one, three])).toEqual(['three', undefined, 'one', 'three']);
    if (tier !== undefined) expect((tier.calls.getMany ?? 0) - before).toBe(1);
    expect(cache.metrics().cache.calls).toMatchObject({ hits: 3, misses: 1 });
    expect(await cache.getMany([])).toEqual([]);
  });

  test('CRM-4 getManyOrLoad() loads what is missing in one call, in order and with duplicates', async () => {
    const { cache } = make();
    await cache.set(contact('b'), { id: 'b', phone: '2' });
    const load = vi.fn(async (ids: readonly string[]) => ids.map((id) => ({ id, phone: `of ${id}` })));
    const got = await cache.getManyOrLoad(['c', 'a', 'b', 'c'], contact, load);
    expect(got.map((one) => one?.phone)).toEqual(['of c', 'of a', '2', 'of c']);
    expect(load.mock.calls.map(([ids]) => ids)).toEqual([['c', 'a']]);
    await cache.getManyOrLoad(['a', 'b', 'c'], contact, load);
    expect(load).toHaveBeenCalledTimes(1);
    expect(await cache.getManyOrLoad([], contact, load)).toEqual([]);
  });

  test('getManyOrLoad() takes a map, and what is not in it does not exist', async () => {
    const { cache } = make();
    const load = vi.fn(async () => new Map([['a', { id: 'a', phone: '1' }]]));
    expect(await cache.getManyOrLoad(['x', 'a'], contact, load)).toEqual([null, { id: 'a', phone: '1' }]);
    expect(await cache.getManyOrLoad(['x'], contact, load)).toEqual([null]);
    expect(load).toHaveBeenCalledTimes(1);
  });

  test('getManyOrLoad() shares loads with single reads, both ways', async () => {
    const { cache } = make();
    const { load, began } = heldLoader();
    const single = cache.getOrLoad(contact('a'), load as never);
    await settled();
    const many = vi.fn(async (ids: readonly string[]) => ids.map((id) => ({ id, phone: 'many' })));
    const both = cache.getManyOrLoad(['a', 'b'], contact, many);
    await settled();
    expect(many.mock.calls.map(([ids]) => ids)).toEqual([['b']]);
    began[0]?.resolve({ id: 'a', phone: 'single' });
    expect((await both).map((one) => one?.phone)).toEqual(['single', 'many']);
    await single;

    const gate = Promise.withResolvers<void>();
    const slow = cache.getManyOrLoad(['c', 'd'], contact, async (ids) => {
      await gate.promise;
      return ids.map((id) => ({ id, phone: 'slow' }));
    });
    await settled();
    const joined = cache.getOrLoad(contact('d'), async () => ({ id: 'd', phone: 'no' }));
    await settled();
    gate.resolve();
    await slow;
    expect((await joined).phone).toBe('slow');
  });

  test('getManyOrLoad() passes the failure of its loader unchanged and keeps nothing of it', async () => {
    const { cache } = make();
    const failure = new RangeError('no database');
    const fails = async () => {
      throw failure;
    };
    await expect(cache.getManyOrLoad(['a', 'b'], contact, fails)).rejects.toBe(failure);
    await expect(cache.getManyOrLoad(['a', 'b'], contact, async () => [null])).rejects.toEqual(argument);
    const load = async (ids: readonly string[]) => ids.map((id) => ({ id, phone: 'back' }));
    expect(await cache.getManyOrLoad(['a'], contact, load)).toEqual([{ id: 'a', phone: 'back' }]);
  });

  test('getManyOrLoad() that an invalidation overtakes stores nothing of the key', async () => {
    const { cache } = make();
    const gate = Promise.withResolvers<void>();
    const early = cache.getManyOrLoad(['a', 'b'], contact, async (ids) => {
      await gate.promise;
      return ids.map((id) => ({ id, phone: 'old' }));
    });
    await settled();
    await cache.invalidate(contact('a'));
    gate.resolve();
    await early;
    await settled();
    expect(await cache.get(contact('a'))).toBeUndefined();
    expect(await cache.get(contact('b'))).toEqual({ id: 'b', phone: 'old' });
  });

  test('CRM-4 getOrLoadVia() finds the one entry by another key, also after the phone has moved', async () => {
    const { cache } = make();
    const table = new Map([
      ['a', { id: 'a', phone: '1' }],
      ['b', { id: 'b', phone: '2' }],
    ]);
    const loads = vi.fn();
    const byPhone = (phone: string) =>
      cache.getOrLoadVia(contacts.contactByPhone({ tenant: 'acme', phone }), {
        find: async () => [...table.values()].find((one) => one.phone === phone)?.id ?? null,
        key: contact,
        load: async (id) => {
          loads(id);
          return table.get(id) ?? null;
        },
        matches: (found) => found.phone === phone,
      });
    expect((await byPhone('1'))?.id).toBe('a');
    expect((await byPhone('1'))?.id).toBe('a');
    expect(await cache.get(contact('a'))).toMatchObject({ phone: '1' });
    expect(loads).toHaveBeenCalledTimes(1);
    expect(await byPhone('9')).toBeNull();
    // The number moves from one contact to the other; only the contacts are invalidated.
    table.set('a', { id: 'a', phone: '3' });
    table.set('b', { id: 'b', phone: '1' });
    await cache.invalidate(contact('a'), contact('b'));
    expect((await byPhone('1'))?.id).toBe('b');
    expect((await byPhone('3'))?.id).toBe('a');
  });

  test('CRM-4 getOrLoadVia() finds an entry whose phone has changed, although nobody has invalidated it', async () => {
    const { cache } = make();
    const table = new Map([['a', { id: 'a', phone: '1' }]]);
    const byPhone = (phone: string) =>
      cache.getOrLoadVia(contacts.contactByPhone({ tenant: 'acme', phone }), {
        find: async () => [...table.values()].find((one) => one.phone === phone)?.id ?? null,
        key: contact,
        load: async (id) => table.get(id) ?? null,
        matches: (found) => found.phone === phone,
      });
    expect(await byPhone('1')).toEqual({ id: 'a', phone: '1' });
    table.set('a', { id: 'a', phone: '2' });
    expect(await byPhone('2')).toEqual({ id: 'a', phone: '2' });
    expect(await byPhone('1')).toBeNull();
    expect(await byPhone('2')).toEqual({ id: 'a', phone: '2' });
  });

  test('CRM-4 warm() preloads 1,000 contacts in batches and tells how far it is', async () => {
    const { cache } = make();
    const ids = Array.from({ length: 1_000 }, (_, index) => `c${index}`);
    const load = vi.fn(async (some: readonly string[]) => some.map((id) => ({ id, phone: id })));
    const progress: number[] = [];
    const result = await cache.warm({
      ids,
      key: contact,
      load,
      onProgress: ({ done }) => progress.push(done),
    });
    expect(result).toEqual({ done: 1_000, total: 1_000, failed: 0 });
    expect(progress).toEqual([100, 200, 300, 400, 500, 600, 700, 800, 900, 1_000]);
    expect(load).toHaveBeenCalledTimes(10);
    expect((await cache.getMany(ids.map(contact))).filter((one) => one === undefined)).toEqual([]);
  });

  test('warm() goes on after a batch that fails, and ends when it is told to', async () => {
    const { cache } = make();
    const controller = new AbortController();
    const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
    const load = async (some: readonly string[]) => {
      if (some.includes('b')) throw new Error('no');
      return some.map((id) => ({ id, phone: id }));
    };
    expect(await cache.warm({ ids, key: contact, load, batch: 2 })).toEqual({ done: 6, total: 6, failed: 2 });
    expect(await cache.has(contact('c'))).toBe(true);
    const stop = () => controller.abort(new Error('enough'));
    const ended = cache.warm({
      ids,
      key: contact,
      load,
      batch: 2,
      onProgress: stop,
      signal: controller.signal,
    });
    await expect(ended).rejects.toThrow('enough');
    await expect(cache.warm({ ids, key: contact, load, batch: 0 })).rejects.toEqual(argument);
  });

  test('wrap() makes a function that answers from the cache', async () => {
    const { cache } = make();
    const load = vi.fn(async (limit: number) => [limit]);
    const calls = cache.wrap((limit: number) => keys.calls({ tenant: 'acme', limit }), load);
    expect(await calls(1)).toEqual([1]);
    expect(await calls(1)).toEqual([1]);
    expect(await calls(2)).toEqual([2]);
    expect(load).toHaveBeenCalledTimes(2);
  });

  test('RC-11 refresh() loads now what is fresh, while the old value stays readable', async () => {
    const { cache } = make();
    await cache.set(devices, 'old');
    const { load, began } = heldLoader();
    const refreshing = cache.refresh(devices, load);
    await settled();
    expect(began).toHaveLength(1);
    expect(await cache.getOrLoad(devices, load)).toBe('old');
    began[0]?.resolve('new');
    expect(await refreshing).toBe('new');
    expect(await cache.get(devices)).toBe('new');
  });

  test('refresh() rejects when its loader fails, and leaves what is there', async () => {
    const { cache } = make();
    await cache.set(kept, 'old');
    const failure = new Error('no');
    const fails = async () => {
      throw failure;
    };
    await expect(cache.refresh(kept, fails)).rejects.toBe(failure);
    expect(await cache.get(kept)).toBe('old');
    await expect(cache.refresh(devices, fails)).rejects.toBe(failure);
  });

  test('invalidatePrefix() drops what begins with the prefix, also what is being loaded', async () => {
    const { cache } = make();
    const { load, began } = heldLoader();
    const other = keys.devices({ tenant: 'other' });
    await cache.set(other, 'other');
    await cache.set(stats, 'old');
    const early = cache.getOrLoad(devices, load);
    await settled();
    await cache.invalidatePrefix(tenantPrefix('ck', 'c', 'acme'));
    began[0]?.resolve('old');
    await early;
    await settled();
    expect(await cache.getMany([devices, stats, other])).toEqual([undefined, undefined, 'other']);
    await cache.set(stats, 'new');
    expect(await cache.get(stats)).toBe('new');
    for (const prefix of ['', 'ck', 'ck:l:', 'other:c:', 7]) {
      await expect(cache.invalidatePrefix(prefix as string)).rejects.toEqual(argument);
    }
  });

  test('eraseTenant() leaves nothing of the tenant and everything of the others', async () => {
    const { cache, tier } = make();
    await cache.set(devices, 'erased');
    const other = keys.devices({ tenant: 'acme2' });
    await cache.set(other, 'other');
    for (const kind of ['l', 'e', 's', 'p', 'k', 'n'] as const) {
      tier?.remote.put(`${tenantPrefix('ck', kind, 'acme')}x`, 'personal');
      tier?.remote.put(`${tenantPrefix('ck', kind, 'acme2')}x`, 'kept');
    }
    const { removed, unreached } = await cache.eraseTenant('acme');
    expect(await cache.getMany([devices, other])).toEqual([undefined, 'other']);
    if (tier === undefined) {
      expect(unreached).toEqual(['l', 'e', 's', 'p', 'k', 'n']);
      return;
    }
    expect(unreached).toEqual([]);
    expect(removed).toMatchObject({ l: 1, e: 1, s: 1, p: 1, k: 1, n: 1 });
    expect(tier.remote.keys().filter((key) => key.includes('{acme}'))).toEqual([]);
    // One of each kind, the entry, its own tag and that of the tenant.
    expect(tier.remote.keys().filter((key) => key.includes('{acme2}'))).toHaveLength(6 + 1 + 2);
    await expect(cache.eraseTenant('')).rejects.toEqual(argument);
  });

  test('inspect() says why a read would hit or miss', async () => {
    const { cache, clock } = make();
    expect(await cache.inspect(devices)).toMatchObject({ would: 'miss', why: 'No tier has it' });
    const { load, began } = heldLoader();
    const loading = cache.getOrLoad(devices, load);
    await settled();
    expect(await cache.inspect(devices)).toMatchObject({ would: 'miss', loading: 'here' });
    began[0]?.resolve(1);
    await loading;
    await clock.advance(1_000);
    const fresh = await cache.inspect(devices);
    expect(fresh).toMatchObject({ would: 'hit', resource: 'devices', loading: undefined });
    expect((fresh.memory?.trusted ? fresh.memory : fresh.remote)?.ageMs).toBeCloseTo(1_000, -1);
    expect(fresh.tags.map(({ tag }) => tag)).toContain(keys.tag('acme', 'devices').wire);
    await cache.invalidateTags(keys.tag('acme', 'devices'));
    expect(await cache.inspect(devices)).toMatchObject({
      would: 'miss',
      why: 'A tag of it was invalidated, or the key was changed',
    });
    await cache.set(stats, 1);
    await clock.advance(70_000);
    expect(await cache.inspect(stats)).toMatchObject({ would: 'stale' });
    cache.switchOff();
    expect(await cache.inspect(stats)).toMatchObject({ would: 'miss', why: 'The cache is switched off' });
  });

  test('inspect() changes nothing: what memory trusts stays trusted', async () => {
    const { cache } = make();
    await cache.getOrLoad(devices, async () => 1);
    await cache.getOrLoad(devices, async () => 1);
    const before = cache.peek(devices);
    await cache.inspect(devices);
    expect(cache.peek(devices)).toBe(before);
  });

  test('switched off, reads go to their own loaders and writes take away', async () => {
    const { cache } = make();
    await cache.set(devices, 'cached');
    await cache.set(stats, 'cached');
    cache.switchOff();
    expect(cache.enabled).toBe(false);
    expect(await cache.get(devices)).toBeUndefined();
    expect(await cache.getMany([devices, stats])).toEqual([undefined, undefined]);
    expect(await cache.getRaw(devices)).toBeUndefined();
    expect((await cache.readRaw(devices, async () => 0)).text).toBe('0');
    expect(cache.peek(devices)).toBeUndefined();
    expect(await cache.getOrLoad(devices, async () => 1)).toBe(1);
    expect(await cache.getOrLoad(devices, async () => 2)).toBe(2);
    const many = await cache.getManyOrLoad(['a'], contact, async () => [{ id: 'a', phone: 'off' }]);
    expect(many[0]?.phone).toBe('off');
    const failure = new Error('no');
    await expect(
      cache.getOrLoad(devices, () => {
        throw failure;
      }),
    ).rejects.toBe(failure);
    const { loads, loadErrors, loadTimes } = cache.metrics().cache.overall;
    expect([loads, loadErrors]).toEqual([5, 1]);
    expect(loadTimes.reduce((sum, bucket) => sum + bucket.loads, 0)).toBe(4);
    await cache.set(stats, 'overwritten');
    expect(await cache.health()).toMatchObject({ state: 'off' });
    cache.switchOn();
    expect(cache.enabled).toBe(true);
    expect(await cache.get(stats)).toBeUndefined();
    await cache.set(stats, 'on');
    expect(await cache.get(stats)).toBe('on');
  });

  test('a read that had just begun when the cache was switched off is served to nobody else', async () => {
    const { cache } = make();
    const early = cache.getOrLoad(devices, async () => 'early');
    cache.switchOff();
    expect(await early).toBe('early');
    await settled();
    expect(cache.peek(devices)).toBeUndefined();
    expect(await cache.get(devices)).toBeUndefined();
    expect(await cache.getOrLoad(devices, async () => 'own')).toBe('own');
    expect(cache.metrics().memory.entries).toBe(0);
  });

  test('a load that was under way when the cache was switched off fills no memory', async () => {
    const { cache } = make();
    const { load, began } = heldLoader();
    const early = cache.getOrLoad(devices, load);
    await settled();
    cache.switchOff();
    began[0]?.resolve('early');
    expect(await early).toBe('early');
    await settled();
    expect(cache.metrics().memory.entries).toBe(0);
  });
});

describe('several processes', () => {
  test('RC-11 refresh() is done by one process of all', async () => {
    const clock = new FakeClock();
    const remote = new MemoryRemote({ clock });
    const caches = [1, 2, 3].map(() => createCache({ clock, remote: memoryRemoteTier({ remote }) }));
    for (const cache of caches) await cache.getOrLoad(devices, async () => 'old');
    const { load, began } = heldLoader();
    const refreshing = caches.map((cache) => cache.refresh(devices, load));
    await settled();
    expect(began).toHaveLength(1);
    for (const cache of caches) expect(await cache.get(devices)).toBe('old');
    began[0]?.resolve('new');
    expect(await Promise.all(refreshing)).toEqual(['new', 'new', 'new']);
    for (const cache of caches) expect(await cache.get(devices)).toBe('new');
  });

  test('inspect() sees that another process loads', async () => {
    const clock = new FakeClock();
    const remote = new MemoryRemote({ clock });
    const [a, b] = [1, 2].map(() => createCache({ clock, remote: memoryRemoteTier({ remote }) }));
    const { load, began } = heldLoader();
    const loading = a?.getOrLoad(devices, load);
    await settled();
    expect(await b?.inspect(devices)).toMatchObject({ would: 'miss', loading: 'elsewhere' });
    began[0]?.resolve(1);
    await loading;
  });
});

describe('health()', () => {
  test('says what works', async () => {
    const clock = new FakeClock();
    const tier = memoryRemoteTier({ clock });
    const cache = createCache({ clock, remote: tier });
    await cache.get(devices);
    expect(await cache.health()).toMatchObject({
      state: 'up',
      remote: { tier: 'memory-remote', reachable: true },
      coherence: { mode: 'pubsub', armed: true },
    });
    tier.cutBus();
    expect(await cache.health()).toMatchObject({ state: 'degraded', coherence: { armed: false } });
    tier.mendBus();
    tier.fail();
    const health = await cache.health();
    expect(health).toMatchObject({ state: 'degraded', remote: { reachable: false } });
    // Whoever asks over HTTP reads why.
    expect(JSON.parse(JSON.stringify(health))).toMatchObject({
      remote: { error: { code: 'TIER_FAILED', message: expect.stringContaining('time') } },
    });
    await cache.close();
    expect(await cache.health()).toEqual({ state: 'off', loading: 0 });
    expect(await createCache().health()).toEqual({ state: 'up', loading: 0 });
  });

  test('is asked before the first read, as by a probe that waits for it, and works then too', async () => {
    const clock = new FakeClock();
    const cache = createCache({ clock, remote: memoryRemoteTier({ clock }) });
    expect(await cache.health()).toMatchObject({ state: 'up', coherence: { armed: true } });
  });
});

describe('setMany() of very many', () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, id) => [contact(`${id}`), { id: `${id}`, phone: '555' }] as const);

  test('stores them group by group, so that each write is answered in time', async () => {
    const tier = memoryRemoteTier();
    const put = tier.put.bind(tier);
    let underWay = 0;
    let most = 0;
    vi.spyOn(tier, 'put').mockImplementation(async (...args) => {
      most = Math.max(most, ++underWay);
      try {
        return await put(...args);
      } finally {
        underWay--;
      }
    });
    const cache = createCache({ remote: tier });
    const clock = await cache.setMany(many(2_500));
    expect(most).toBe(1_000);
    expect(tier.put).toHaveBeenCalledTimes(2_500);
    expect(await cache.get(contact('2499'), { minClock: clock })).toMatchObject({ id: '2499' });
    await cache.close();
  });

  test('stores no further group after one that failed, nor after close()', async () => {
    const tier = memoryRemoteTier();
    const put = vi.spyOn(tier, 'put').mockRejectedValue(new Error('down'));
    const cache = createCache({ remote: tier });
    await expect(cache.setMany(many(2_500))).rejects.toMatchObject({ code: 'TIER_FAILED' });
    expect(put).toHaveBeenCalledTimes(1_000);
    put.mockRestore();
    const closed = expect.toSatisfy((error) => isCacheKitError(error, 'CACHE_CLOSED'));
    const storing = expect(cache.setMany(many(2_500))).rejects.toEqual(closed);
    await cache.close();
    await storing;
  });

  test('has no length that is too great', async () => {
    const cache = createCache();
    await cache.setMany(many(200_000));
    expect(await cache.get(contact('199999'))).toMatchObject({ id: '199999' });
  });
});
