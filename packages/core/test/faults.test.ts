import { describe, expect, test, vi } from 'vitest';
import { type Codec, createCache, jsonCodec } from '../src/index.ts';
import { FakeClock, MemoryRemote, memoryRemoteTier } from '../src/testing/index.ts';
import { devices, heldLoader, kept, keys, settled, stats } from './keys.ts';

function setup() {
  const clock = new FakeClock();
  const remote = new MemoryRemote({ clock });
  const tier = memoryRemoteTier({ remote });
  const cache = createCache({ clock, remote: tier });
  const start = () => createCache({ clock, remote: memoryRemoteTier({ remote }) });
  return { clock, remote, tier, cache, start };
}

const tierFailed = expect.objectContaining({ code: 'TIER_FAILED', tier: 'memory-remote' });

describe('a tier of which a part fails', () => {
  test('keeps reads away from that part alone', async () => {
    const { clock, remote } = setup();
    const tier = memoryRemoteTier({ remote });
    const asked: string[] = [];
    const getMany = tier.getMany.bind(tier);
    Object.assign(tier, {
      partOf: (key: string) => (key.includes('{dead}') ? 'dead' : 'alive'),
      getMany: (wires: readonly string[]) => {
        asked.push(...wires);
        return wires.some((wire) => wire.includes('{dead}'))
          ? Promise.reject(new Error('no master'))
          : getMany(wires);
      },
    });
    const cache = createCache({ clock, remote: tier, memory: false });
    const breaker = vi.fn();
    cache.on('breaker', breaker);
    const dead = keys.devices({ tenant: 'dead' });
    await cache.getOrLoad(devices, async () => 'stored');
    const refusedAt: string[] = [];
    for (let turn = 0; turn < 10; turn++) {
      expect(await cache.getOrLoad(dead, async () => 'loaded')).toBe('loaded');
      expect(await cache.getOrLoad(devices, async () => 'loaded')).toBe('stored');
      if (cache.metrics().remote?.state === 'down') refusedAt.push(`${turn}`);
    }
    // Three failures in a row, then nobody waits for it any more.
    expect(asked.filter((wire) => wire === dead.wire)).toHaveLength(3);
    expect(asked.filter((wire) => wire === devices.wire)).toHaveLength(11);
    expect(refusedAt[0]).toBe('2');
    expect(breaker.mock.calls).toEqual([[{ state: 'open' }]]);
    await clock.advance(1_000);
    Object.assign(tier, { getMany });
    await cache.getOrLoad(dead, async () => 'loaded');
    expect(breaker).toHaveBeenLastCalledWith({ state: 'closed' });
    expect(await cache.getOrLoad(dead, async () => 'no')).toBe('loaded');
  });
});

describe('while nothing is heard of the other processes', () => {
  test('a read does not join a read that began before another process has set the key', async () => {
    const { cache, tier, start } = setup();
    await cache.getOrLoad(devices, async () => 'old');
    tier.cutBus();
    const answer = tier.hold('getMany');
    const early = cache.getOrLoad(devices, async () => 'loaded');
    await settled();
    await start().set(devices, 'new');
    const late = cache.getOrLoad(devices, async () => 'loaded');
    answer();
    expect(await early).toBe('old');
    expect(await late).toBe('new');
  });

  test('nor a load that began before, but hears at once when that load is over', async () => {
    const { cache, tier, start } = setup();
    tier.cutBus();
    const { load, began } = heldLoader();
    const early = cache.getOrLoad(devices, load);
    await settled();
    const late = cache.getOrLoad(devices, load);
    await settled();
    await start().set(devices, 'new');
    const later = cache.getOrLoad(devices, load);
    await settled();
    began[0]?.resolve('old');
    expect(await early).toBe('old');
    expect(await Promise.all([late, later])).toEqual(['new', 'new']);
    expect(began).toHaveLength(1);
  });

  test('reads that one after another do not reach the tier run one loader', async () => {
    const { cache, tier } = setup();
    tier.cutBus();
    const proceed = tier.hold('getMany', 'request');
    const { load, began } = heldLoader();
    const callers: Promise<unknown>[] = [];
    for (let caller = 0; caller < 20; caller++) {
      callers.push(cache.getOrLoad(devices, load));
      await settled();
    }
    tier.fail();
    proceed();
    await settled();
    expect(began).toHaveLength(1);
    began[0]?.resolve('value');
    expect(new Set(await Promise.all(callers))).toEqual(new Set(['value']));
  });
});

describe('with the remote tier down', () => {
  test('PBX-6 RC-1 the loader answers, from the first read on', async () => {
    const { cache, tier } = setup();
    tier.fail();
    expect(await cache.getOrLoad(devices, async () => 'loaded')).toBe('loaded');
    expect(cache.metrics().remote).toMatchObject({ tier: 'memory-remote', failures: 1 });
  });

  test('a value lives in memory for a second, so that the database is not asked for every read', async () => {
    const { cache, tier, clock } = setup();
    tier.fail();
    tier.cutBus();
    const load = vi.fn(async () => load.mock.calls.length);
    for (let read = 0; read < 10; read++) expect(await cache.getOrLoad(devices, load)).toBe(1);
    await clock.advance(1_000);
    expect(await cache.getOrLoad(devices, load)).toBe(2);
  });

  test('a value of that second is dropped by what is invalidated here', async () => {
    const { cache, tier } = setup();
    tier.fail();
    for (const invalidate of [
      () => cache.invalidate(devices),
      () => cache.invalidateTags(keys.tag('acme', 'devices')),
      () => cache.clear(),
    ]) {
      await cache.getOrLoad(devices, async () => 'old');
      await expect(invalidate()).rejects.toEqual(tierFailed);
      expect(await cache.getOrLoad(devices, async () => 'new')).toBe('new');
      await cache.invalidate(devices).catch(() => {});
    }
  });

  test('a value of that second is not served once what others change is heard again', async () => {
    const { cache, tier } = setup();
    tier.fail();
    tier.cutBus();
    await cache.getOrLoad(devices, async () => 'old');
    tier.recover();
    tier.mendBus();
    expect(await cache.getOrLoad(devices, async () => 'new')).toBe('new');
  });

  test('one load runs for all who ask at a time', async () => {
    const { cache, tier } = setup();
    tier.fail();
    const { load, began } = heldLoader();
    const callers = Array.from({ length: 100 }, () => cache.getOrLoad(devices, load));
    await settled();
    expect(began).toHaveLength(1);
    began[0]?.resolve(1);
    await Promise.all(callers);
  });

  test('set() and every invalidation reject, and say why', async () => {
    const { cache, tier } = setup();
    const cause = new Error('connection refused');
    tier.fail(cause);
    for (const [operation, call] of [
      ['delete', () => cache.invalidate(devices)],
      ['bumpTags', () => cache.invalidateTags(keys.tag('acme', 'devices'))],
      ['bumpTags', () => cache.clear()],
      ['time', () => cache.set(devices, 1)],
    ] as const) {
      await expect(call()).rejects.toMatchObject({ code: 'TIER_FAILED', operation, cause });
    }
  });

  test('memory forgets what could not be invalidated remotely', async () => {
    const { cache, tier } = setup();
    await cache.getOrLoad(devices, async () => 'old');
    tier.fail();
    await expect(cache.invalidate(devices)).rejects.toEqual(tierFailed);
    expect(await cache.getOrLoad(devices, async () => 'new')).toBe('new');
  });

  test('the old value in memory is the last resort, but never one that is known to be changed', async () => {
    const { cache, tier, clock, start } = setup();
    const load = async () => {
      throw new Error('no database');
    };
    await cache.getOrLoad(kept, async () => 'old');
    tier.cutBus();
    tier.fail();
    await clock.advance(70_000);
    expect(await cache.read(kept, load)).toMatchObject({ value: 'old', state: 'stale' });
    tier.recover();
    tier.mendBus();
    await cache.getOrLoad(kept, async () => 'newer');
    await start().invalidate(kept);
    tier.fail();
    await expect(cache.getOrLoad(kept, load)).rejects.toThrow('no database');
  });

  test('an old value whose tag is known to be invalidated is no last resort either', async () => {
    const { cache, tier, start } = setup();
    await cache.getOrLoad(devices, async () => 'old');
    await start().invalidateTags(keys.tag('acme', 'devices'));
    tier.fail();
    const load = async () => {
      throw new Error('no database');
    };
    await expect(cache.getOrLoad(devices, load, { staleIfError: '1h' })).rejects.toThrow('no database');
  });

  test('a stale value in memory is served, and its refresh goes without the tier', async () => {
    const { cache, tier, clock } = setup();
    await cache.getOrLoad(stats, async () => 'old');
    await clock.advance(70_000);
    tier.fail();
    expect(await cache.getOrLoad(stats, async () => 'new')).toBe('old');
    await settled();
    expect(await cache.getOrLoad(stats, async () => 'newer')).toBe('new');
  });

  test('a load whose commit was not answered gives its value to its callers and to nobody else', async () => {
    const { cache, tier } = setup();
    const { load, began } = heldLoader();
    const caller = cache.getOrLoad(devices, load);
    await settled();
    tier.fail();
    began[0]?.resolve('value');
    expect(await caller).toBe('value');
    expect(cache.metrics().memory.entries).toBe(0);
  });

  test.each([
    ['of a key that was looked for', 0],
    ['of one that is not expected to be there', 9],
  ])('a lease %s, given while nobody heard of it any more, is waited for by nobody', async (_, misses) => {
    const { cache, tier, start } = setup();
    for (let limit = 0; limit < misses; limit++) {
      await cache.getOrLoad(keys.calls({ tenant: 'acme', limit }), async () => limit);
    }
    const acquire = tier.acquire.bind(tier);
    tier.acquire = async (request) => {
      await acquire(request);
      throw new Error('no reply within 250 ms');
    };
    const key = keys.calls({ tenant: 'acme', limit: 100 });
    expect(await cache.getOrLoad(key, async () => 'without the tier')).toBe('without the tier');
    await settled();
    // No time passes.
    expect(await start().getOrLoad(key, async () => 'mine')).toBe('mine');
  });

  test('a commit that the tier refuses leaves no lease for which others would wait', async () => {
    const { cache, tier, start } = setup();
    Object.assign(tier, {
      commit: () => Promise.reject(new Error('ERR value is not an integer or out of range')),
    });
    expect(await cache.getOrLoad(devices, async () => 'value')).toBe('value');
    await settled();
    // No time passes.
    expect(await start().getOrLoad(devices, async () => 'mine')).toBe('mine');
  });

  test('a breaker keeps reads away after three failures, probes after a second, and closes by itself', async () => {
    const { cache, tier, clock } = setup();
    const states: string[] = [];
    cache.on('breaker', ({ state }) => states.push(state));
    tier.fail();
    const read = (limit: number) => cache.getOrLoad(keys.calls({ tenant: 'a', limit }), async () => limit);
    for (let limit = 0; limit < 10; limit++) await read(limit);
    const calls = tier.calls.getMany ?? 0;
    expect(calls).toBe(3);
    expect(cache.metrics().remote?.state).toBe('down');
    await clock.advance(1_000);
    await Promise.all([read(20), read(21), read(22)]);
    expect(tier.calls.getMany).toBe(calls + 1);
    tier.recover();
    await clock.advance(1_000);
    await read(30);
    expect(cache.metrics().remote?.state).toBe('up');
    expect(states).toEqual(['open', 'closed']);
    const late = vi.fn(async () => 30);
    expect(await cache.getOrLoad(keys.calls({ tenant: 'a', limit: 30 }), late)).toBe(30);
    expect(late).not.toHaveBeenCalled();
  });

  test('invalidations are tried although the breaker is open, and close it', async () => {
    const { cache, tier } = setup();
    tier.fail();
    for (let limit = 0; limit < 3; limit++) {
      await cache.getOrLoad(keys.calls({ tenant: 'a', limit }), async () => limit);
    }
    tier.recover();
    expect(cache.metrics().remote?.state).toBe('down');
    await cache.invalidate(devices);
    expect(cache.metrics().remote?.state).toBe('up');
  });

  test('every failed call is told, and nothing is unhandled', async () => {
    const { cache, tier } = setup();
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    const operations: string[] = [];
    cache.on('tierError', ({ operation, error }) => {
      expect(error.code).toBe('TIER_FAILED');
      operations.push(operation);
    });
    tier.fail();
    await cache.getOrLoad(devices, async () => 1);
    await cache.invalidate(devices).catch(() => {});
    tier.recover();
    const { load, began } = heldLoader();
    const caller = cache.getOrLoad(stats, load);
    await settled();
    tier.fail();
    began[0]?.reject(new Error('no'));
    await expect(caller).rejects.toThrow('no');
    await settled();
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', unhandled);
    expect(operations).toEqual(['getMany', 'delete', 'release']);
    expect(unhandled).not.toHaveBeenCalled();
  });
});

describe('damage and values that cannot be stored', () => {
  test('what is no entry is a miss, is told and is replaced', async () => {
    const { cache, remote, start } = setup();
    const damaged = vi.fn();
    cache.on('damaged', damaged);
    remote.put(devices.wire, '{"some":"thing"}');
    expect(await cache.getOrLoad(devices, async () => 'value')).toBe('value');
    expect(damaged).toHaveBeenCalledWith({ key: devices.wire, resource: 'devices' });
    expect(await start().getOrLoad(devices, async () => 'no')).toBe('value');
  });

  test('an entry whose payload or codec cannot be read is a miss, is told and is replaced', async () => {
    const { cache, remote, clock, start } = setup();
    await start().getOrLoad(devices, async () => 'old');
    remote.patch(devices.wire, `${remote.get(devices.wire)}}`);
    const damaged = vi.fn();
    cache.on('damaged', damaged);
    expect(await cache.getOrLoad(devices, async () => 'value')).toBe('value');
    expect(damaged).toHaveBeenCalledTimes(1);
    const codec: Codec = { id: 'x', encode: (value) => `x${JSON.stringify(value)}`, decode: (text) => text };
    const other = createCache({ clock, codec, remote: memoryRemoteTier({ remote }) });
    expect(await other.getOrLoad(devices, async () => 'other')).toBe('other');
    expect(await start().getOrLoad(devices, async () => 'again')).toBe('again');
  });

  test('a value that cannot be encoded is given to its callers, stored nowhere and told; others need not wait', async () => {
    const { cache, start } = setup();
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    const unstorable = vi.fn();
    cache.on('unstorable', unstorable);
    expect(await cache.getOrLoad(devices, async () => circle)).toBe(circle);
    expect(unstorable).toHaveBeenCalledTimes(1);
    await settled();
    expect(await start().getOrLoad(devices, async () => 'value')).toBe('value');
    await expect(cache.set(devices, 1n)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(() => jsonCodec.encode(() => 1)).toThrow('A function has no JSON');
  });
});

describe('close()', () => {
  test('closes the coherence and the tier, once', async () => {
    const { cache, tier } = setup();
    const closed = vi.spyOn(tier, 'close');
    await cache.getOrLoad(devices, async () => 1);
    await Promise.all([cache.close(), cache.close()]);
    expect(closed).toHaveBeenCalledTimes(1);
  });

  test('nothing is served by it any more, whatever lands meanwhile', async () => {
    for (const cache of [setup().cache, createCache()]) {
      const { load, began } = heldLoader();
      const slow = cache.getOrLoad(stats, load);
      const quick = cache.getOrLoad(devices, async () => 'quick');
      const closing = cache.close();
      expect(await quick).toBe('quick');
      await settled();
      cache.switchOn();
      await expect(cache.getOrLoad(devices, async () => 'again')).rejects.toMatchObject({
        code: 'CACHE_CLOSED',
      });
      expect(() => cache.peek(devices)).toThrow('closed');
      began[0]?.resolve('slow');
      expect(await slow).toBe('slow');
      await closing;
    }
  });

  test('leaves no timer behind', async () => {
    const { cache, clock } = setup();
    await cache.getOrLoad(devices, async () => 1);
    await cache
      .getOrLoad(stats, async () => {
        throw new Error('no');
      })
      .catch(() => {});
    await cache.close();
    expect(clock.timers).toBe(0);
  });
});
