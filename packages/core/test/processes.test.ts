import { describe, expect, test, vi } from 'vitest';
import { type Cache, createCache, namespaceTag, type TierClock } from '../src/index.ts';
import { FakeClock, MemoryRemote, type MemoryRemoteTier, memoryRemoteTier } from '../src/testing/index.ts';
import { devices, heldLoader, kept, keys, settled, stats } from './keys.ts';

interface Process {
  readonly cache: Cache;
  readonly tier: MemoryRemoteTier;
}

function processes(count: number, clock = new FakeClock()) {
  const remote = new MemoryRemote({ clock });
  const all: Process[] = Array.from({ length: count }, () => start(remote, clock));
  return { clock, remote, all, start: () => start(remote, clock) };
}

function start(remote: MemoryRemote, clock: FakeClock): Process {
  const tier = memoryRemoteTier({ remote });
  return { tier, cache: createCache({ remote: tier, clock }) };
}

function two() {
  const { all, ...rest } = processes(2);
  return { ...rest, a: all[0] as Process, b: all[1] as Process };
}

describe('several processes', () => {
  test('load a cold key once, and every waiter has the value as soon as it is there', async () => {
    const { all } = processes(4);
    const { load, began } = heldLoader();
    const callers = all.map(({ cache }) => cache.getOrLoad(devices, load));
    await settled();
    expect(began).toHaveLength(1);
    began[0]?.resolve('value');
    // No time passes: the push wakes them.
    expect(await Promise.all(callers)).toEqual(['value', 'value', 'value', 'value']);
    expect(began).toHaveLength(1);
  });

  test('serve the old value when the load of another process outlasts timeout.hard', async () => {
    const { a, b, clock } = two();
    await a.cache.getOrLoad(kept, async () => 'old');
    await clock.advance(61_000);
    const never = () => new Promise<unknown>(() => {});
    const first = a.cache.getOrLoad(kept, never, { timeout: { hard: '5m' } });
    await settled();
    // Without timeout.soft, so that there is nothing to be served before.
    const second = b.cache.read(kept, async () => 'no');
    await clock.advance(31_000);
    expect(await second).toMatchObject({ value: 'old', state: 'stale' });
    await clock.advance(300_000);
    expect(await first).toBe('old');
  });

  test('are not disturbed in a load by a tag that its key does not carry', async () => {
    const { a, b } = two();
    const calls = keys.calls({ tenant: 'acme', limit: 1 });
    for (let read = 0; read < 2; read++) await a.cache.getOrLoad(calls, async () => 'calls');
    expect(a.cache.peek(calls)).toBe('calls');
    const { load, began } = heldLoader();
    const early = a.cache.getOrLoad(devices, load);
    await settled();
    await b.cache.invalidateTags(keys.tag('acme', 'calls'));
    expect(a.cache.peek(calls)).toBeUndefined();
    // Whoever asks meanwhile joins, and memory has the value afterwards.
    const late = a.cache.getOrLoad(devices, load);
    await settled();
    began[0]?.resolve('devices');
    expect(await Promise.all([early, late])).toEqual(['devices', 'devices']);
    expect(began).toHaveLength(1);
    expect(a.cache.peek(devices)).toBe('devices');
  });

  test('find the value by polling when the push gets lost', async () => {
    const { a, b, clock } = two();
    const { load, began } = heldLoader();
    b.tier.loseMessages();
    const first = a.cache.getOrLoad(devices, load);
    await settled();
    const second = b.cache.getOrLoad(devices, load);
    await clock.advance(300);
    began[0]?.resolve('value');
    expect(await first).toBe('value');
    await clock.advance(200);
    expect(await second).toBe('value');
    expect(began).toHaveLength(1);
  });

  test('do not load again what the tier says in two answers, the tags before the load and the entry after', async () => {
    for (const read of ['one', 'many'] as const) {
      const { a, b } = two();
      const load = vi.fn(async () => 'loaded again');
      // As on a cluster, where the two are in different slots.
      const letGo = b.tier.hold('getMany', 'request');
      const late =
        read === 'one'
          ? b.cache.getOrLoad(devices, load)
          : b.cache.getMany([devices]).then(([value]) => value);
      await settled();
      await a.cache.getOrLoad(devices, async () => 'loaded');
      letGo();
      expect(await late).toBe('loaded');
      expect(load).not.toHaveBeenCalled();
    }
  });

  test('take over from a process that died during its load, once its lease is over', async () => {
    const { a, b, clock } = two();
    const dead = a.cache.getOrLoad(devices, () => new Promise(() => {}));
    dead.catch(() => {});
    await settled();
    a.tier.fail();
    const { load, began } = heldLoader();
    const waiter = b.cache.getOrLoad(devices, load);
    await clock.advance(4_000);
    expect(began).toHaveLength(0);
    await clock.advance(1_500);
    expect(began).toHaveLength(1);
    began[0]?.resolve('taken over');
    expect(await waiter).toBe('taken over');
  });

  test('leave a slow load its lease for as long as it runs', async () => {
    const { a, b, clock } = two();
    const { load, began } = heldLoader();
    const first = a.cache.getOrLoad(devices, load);
    await settled();
    const second = b.cache.getOrLoad(devices, load);
    await clock.advance(20_000);
    expect(began).toHaveLength(1);
    began[0]?.resolve('slow');
    expect(await Promise.all([first, second])).toEqual(['slow', 'slow']);
  });

  test('refuse the load of a process that was taken over', async () => {
    const { a, b, clock } = two();
    const { load, began } = heldLoader();
    const slow = a.cache.getOrLoad(devices, load);
    await settled();
    a.tier.fail();
    await clock.advance(6_000);
    a.tier.recover();
    expect(await b.cache.getOrLoad(devices, async () => 'new')).toBe('new');
    began[0]?.resolve('old');
    expect(await slow).toBe('old');
    for (const { cache } of [a, b]) expect(await cache.getOrLoad(devices, load)).toBe('new');
  });

  test('take over at once from a load that failed', async () => {
    const { a, b } = two();
    const { load, began } = heldLoader();
    const first = a.cache.getOrLoad(devices, load);
    await settled();
    const second = b.cache.getOrLoad(devices, load);
    await settled();
    began[0]?.reject(new Error('no'));
    await expect(first).rejects.toThrow('no');
    await vi.waitFor(() => expect(began).toHaveLength(2));
    began[1]?.resolve('yes');
    expect(await second).toBe('yes');
  });

  test('do not refuse each other the loads of entries that share a new tag', async () => {
    const { a, b } = two();
    const { load, began } = heldLoader();
    const [one, other] = [1, 2].map((limit) => keys.calls({ tenant: 'acme', limit }));
    if (one === undefined || other === undefined) throw new Error('no keys');
    const first = a.cache.getOrLoad(one, load);
    await settled();
    const second = b.cache.getOrLoad(other, load);
    await settled();
    began[1]?.resolve('second');
    await second;
    began[0]?.resolve('first');
    await first;
    expect(await a.cache.getOrLoad(other, load)).toBe('second');
    expect(await b.cache.getOrLoad(one, load)).toBe('first');
    expect(began).toHaveLength(2);
  });

  const ways: [string, (cache: Cache) => Promise<TierClock>][] = [
    ['invalidate()', (cache) => cache.invalidate(devices)],
    ['invalidateTags()', (cache) => cache.invalidateTags(keys.tag('acme', 'devices'))],
    ['clear()', (cache) => cache.clear()],
  ];

  test.each(ways)('see a %s of another while one of them loads', async (_way, invalidate) => {
    const { a, b } = two();
    const { load, began } = heldLoader();
    const before = a.cache.getOrLoad(devices, load);
    await settled();
    await invalidate(b.cache);
    await settled();
    const after = [a, b].map(({ cache }) => cache.getOrLoad(devices, load));
    await vi.waitFor(() => expect(began).toHaveLength(2));
    began[1]?.resolve('new');
    expect(await Promise.all(after)).toEqual(['new', 'new']);
    began[0]?.resolve('old');
    expect(await before).toBe('old');
    for (const { cache } of [a, b]) expect(await cache.getOrLoad(devices, load)).toBe('new');
    expect(began).toHaveLength(2);
  });

  test.each(ways)('see a %s of another although the push got lost, in a load', async (_way, invalidate) => {
    const { a, b, start } = two();
    const { load, began } = heldLoader();
    a.tier.loseMessages();
    const before = a.cache.getOrLoad(devices, load);
    await settled();
    await invalidate(b.cache);
    began[0]?.resolve('old');
    await before;
    await settled();
    for (const { cache } of [a, b, start()]) {
      expect(await cache.getOrLoad(devices, async () => 'new')).toBe('new');
    }
  });

  test.each(ways)('see a %s of another in what memory holds', async (_way, invalidate) => {
    const { a, b } = two();
    for (const { cache } of [a, b, a, b]) await cache.getOrLoad(devices, async () => 'old');
    expect(a.cache.metrics().cache.devices?.memoryHits).toBe(1);
    await invalidate(b.cache);
    expect(await a.cache.getOrLoad(devices, async () => 'new')).toBe('new');
    expect(await b.cache.getOrLoad(devices, async () => 'newer')).toBe('new');
  });

  test('see a set() of another', async () => {
    const { a, b } = two();
    for (const { cache } of [a, b, a, b]) await cache.getOrLoad(devices, async () => 'old');
    const minClock = await b.cache.set(devices, 'set');
    expect(await a.cache.getOrLoad(devices, async () => 'loaded', { minClock })).toBe('set');
    expect(await b.cache.getOrLoad(devices, async () => 'loaded')).toBe('set');
  });

  test('agree on what two set() at once came to', async () => {
    const { a, b } = two();
    for (let round = 0; round < 100; round++) {
      await Promise.all([a.cache.set(devices, `a${round}`), b.cache.set(devices, `b${round}`)]);
      const [one, other] = await Promise.all(
        [a, b].map(({ cache }) => cache.getOrLoad(devices, async () => 'no')),
      );
      expect(one).toBe(other);
      expect(one).toMatch(new RegExp(`^[ab]${round}$`));
    }
  });

  test('refresh a stale value once, all together', async () => {
    const { all, clock } = processes(4);
    for (const { cache } of all) await cache.getOrLoad(stats, async () => 'old');
    await clock.advance(70_000);
    const { load, began } = heldLoader();
    for (const { cache } of all) {
      expect(await cache.read(stats, load)).toMatchObject({ value: 'old', state: 'stale' });
    }
    await settled();
    expect(began).toHaveLength(1);
    began[0]?.resolve('new');
    await settled();
    await clock.advance(0);
    for (const { cache } of all) expect(await cache.getOrLoad(stats, load)).toBe('new');
    expect(began).toHaveLength(1);
  });

  test('keep what is left of the ttl when they read what another has loaded', async () => {
    const { a, b, clock } = two();
    const load = vi.fn(async () => load.mock.calls.length);
    await a.cache.getOrLoad(stats, load, { staleWhileRevalidate: 0 });
    await clock.advance(59_000);
    await b.cache.getOrLoad(stats, load, { staleWhileRevalidate: 0 });
    expect(load).toHaveBeenCalledTimes(1);
    await clock.advance(1_000);
    await b.cache.getOrLoad(stats, load, { staleWhileRevalidate: 0 });
    expect(load).toHaveBeenCalledTimes(2);
  });

  test('do not fill memory with an answer that a change overtook on the way', async () => {
    const { a, b } = two();
    await a.cache.getOrLoad(devices, async () => 'old');
    const open = b.tier.hold('getMany');
    const late = b.cache.getOrLoad(devices, async () => 'no');
    await settled();
    await a.cache.invalidate(devices);
    open();
    expect(await late).toBe('old');
    expect(await b.cache.getOrLoad(devices, async () => 'new')).toBe('new');
  });

  test('do not fill memory with an answer whose tag was invalidated on the way', async () => {
    const { a, b } = two();
    await a.cache.getOrLoad(devices, async () => 'old');
    const open = b.tier.hold('getMany');
    const late = b.cache.getOrLoad(devices, async () => 'no');
    await settled();
    await a.cache.invalidateTags(keys.tag('acme', 'devices'));
    open();
    expect(await late).toBe('old');
    expect(await b.cache.getOrLoad(devices, async () => 'new')).toBe('new');
  });

  test('do not fill memory with a load that a change overtook between its commit and the answer', async () => {
    const overtakings: ((a: Process, b: Process) => Promise<unknown>)[] = [
      (_a, b) => b.cache.invalidate(devices),
      (_a, b) => b.cache.invalidateTags(keys.tag('acme', 'devices')),
      (_a, b) => b.cache.clear(),
      (a) => a.cache.invalidate(devices),
      (a) => a.cache.invalidateTags(keys.tag('acme', 'devices')),
    ];
    for (const overtake of overtakings) {
      const { a, b } = two();
      await a.cache.getOrLoad(stats, async () => 'first');
      const open = a.tier.hold('commit');
      const late = a.cache.getOrLoad(devices, async () => 'old');
      await vi.waitFor(() => expect(a.tier.calls.commit).toBe(2));
      await overtake(a, b);
      open();
      expect(await late).toBe('old');
      expect(await a.cache.getOrLoad(devices, async () => 'new')).toBe('new');
    }
  });

  test('do not trust an old entry again by an answer that a change overtook on the way', async () => {
    const { a, b } = two();
    await a.cache.getOrLoad(devices, async () => 'old');
    await b.cache.getOrLoad(devices, async () => 'no');
    b.tier.cutBus();
    b.tier.mendBus();
    const open = b.tier.hold('getMany');
    const late = b.cache.getOrLoad(devices, async () => 'no');
    await settled();
    await a.cache.invalidate(devices);
    open();
    expect(await late).toBe('old');
    expect(await b.cache.getOrLoad(devices, async () => 'new')).toBe('new');
  });

  const writes: typeof ways = [...ways, ['set()', (cache) => cache.set(devices, 'new')]];

  test.each(writes)(
    'do not keep what a read brought back while %s was on its way',
    async (_way, invalidate) => {
      const { a } = two();
      await a.cache.getOrLoad(devices, async () => 'old');
      a.tier.loseMessages();
      const open = (['delete', 'bumpTags', 'put'] as const).map((method) => a.tier.hold(method, 'request'));
      const invalidated = invalidate(a.cache);
      await settled();
      expect(await a.cache.getOrLoad(devices, async () => 'no')).toBe('old');
      for (const each of open) each();
      await invalidated;
      expect(await a.cache.getOrLoad(devices, async () => 'new')).toBe('new');
    },
  );

  test('do not trust a tag again by an answer that its invalidation overtook on the way', async () => {
    const { a, b } = two();
    const [one, other] = [1, 2].map((limit) => keys.calls({ tenant: 'acme', limit }));
    if (one === undefined || other === undefined) throw new Error('no keys');
    for (const { cache } of [a, b]) await cache.getOrLoad(one, async () => 'old');
    const open = b.tier.hold('tagVersions');
    const late = b.cache.getOrLoad(other, async () => 'other');
    await settled();
    await a.cache.invalidateTags(keys.tag('acme', 'calls'));
    open();
    await late;
    expect(await b.cache.getOrLoad(one, async () => 'new')).toBe('new');
  });

  test('need not wait for a load that their own tag overtook, although no message arrives', async () => {
    const { a } = two();
    a.tier.cutBus();
    const { load, began } = heldLoader();
    const before = a.cache.getOrLoad(devices, load);
    await settled();
    await a.cache.invalidateTags(keys.tag('acme', 'devices'));
    const after = a.cache.getOrLoad(devices, load);
    await settled();
    expect(began).toHaveLength(2);
    for (const each of began) each.resolve('value');
    await Promise.all([before, after]);
  });

  test('distrust an entry whose tag the tier no longer knows', async () => {
    const { a, remote, start } = processesOf(1);
    await a.cache.getOrLoad(devices, async () => 'old');
    remote.forgetTag(keys.tag('acme', 'devices').wire);
    expect(await start().cache.getOrLoad(devices, async () => 'new')).toBe('new');
    await start().cache.getOrLoad(devices, async () => 'newer');
    remote.forgetTag(namespaceTag('ck'));
    expect(await start().cache.getOrLoad(devices, async () => 'newest')).toBe('newest');
  });

  test('tell time by the tier, however wrong their own clocks are', async () => {
    const clock = new FakeClock();
    const remote = new MemoryRemote({ clock });
    const wrong = {
      now: () => clock.now() - 3_600_000,
      setTimeout: clock.setTimeout.bind(clock),
      clearTimeout: clock.clearTimeout.bind(clock),
    };
    const behind = createCache({ remote: memoryRemoteTier({ remote }), clock: wrong });
    const right = createCache({ remote: memoryRemoteTier({ remote }), clock });
    const load = vi.fn(async () => load.mock.calls.length);
    const options = { staleWhileRevalidate: 0, staleIfError: '1h' } as const;
    await right.getOrLoad(stats, load, options);
    expect(await behind.getOrLoad(stats, load, options)).toBe(1);
    await clock.advance(60_000);
    expect(await behind.getOrLoad(stats, load, options)).toBe(2);
    await behind.invalidateTags(keys.tag('acme', 'none'));
    await behind.set(stats, 'set');
    expect(await right.getOrLoad(stats, load, options)).toBe('set');
    await right.getOrLoad(devices, load);
    await behind.invalidateTags(keys.tag('acme', 'devices'));
    expect(await right.getOrLoad(devices, async () => 'new')).toBe('new');
  });

  test('serve what the tier holds, stale, to a process that has just started', async () => {
    const { a, clock, start } = processesOf(1);
    await a.cache.getOrLoad(kept, async () => 'old');
    await clock.advance(70_000);
    const load = async () => {
      throw new Error('no database');
    };
    expect(await start().cache.read(kept, load)).toMatchObject({ value: 'old', state: 'stale' });
  });
});

describe('coherence', () => {
  test('trusts memory only once it is armed', async () => {
    const { a, b } = two();
    await a.cache.getOrLoad(devices, async () => 'old');
    b.tier.cutBus();
    await b.cache.getOrLoad(devices, async () => 'no');
    await a.cache.invalidate(devices);
    expect(await b.cache.getOrLoad(devices, async () => 'new')).toBe('new');
    expect(b.cache.metrics().memory.trusted).toBe(false);
  });

  test('serves nothing from memory as fresh after the bus broke, and nothing wrong after it was mended', async () => {
    const { a, b } = two();
    const other = keys.calls({ tenant: 'acme', limit: 1 });
    for (const key of [devices, other]) {
      await a.cache.getOrLoad(key, async () => 'old');
      await b.cache.getOrLoad(key, async () => 'no');
    }
    b.tier.cutBus();
    await a.cache.invalidate(devices);
    expect(await b.cache.getOrLoad(devices, async () => 'new')).toBe('new');
    await a.cache.invalidate(devices);
    b.tier.mendBus();
    expect(await b.cache.getOrLoad(devices, async () => 'newer')).toBe('newer');
    // What did not change is found unchanged by its version, not decoded again, and trusted again.
    const reads = b.tier.calls.getMany ?? 0;
    const value = await b.cache.getOrLoad(other, async () => 'no');
    expect(value).toBe('old');
    expect(b.tier.calls.getMany).toBe(reads + 1);
    await b.cache.getOrLoad(other, async () => 'no');
    expect(b.tier.calls.getMany).toBe(reads + 1);
  });

  test('keeps the very value of an entry that it found unchanged', async () => {
    const { a, b } = two();
    await a.cache.getOrLoad(devices, async () => ({ name: 'phone' }));
    const before = await b.cache.getOrLoad(devices, async () => 'no');
    b.tier.cutBus();
    b.tier.mendBus();
    expect(await b.cache.getOrLoad(devices, async () => 'no')).toBe(before);
  });

  test('trusts what it loaded while the bus was cut only after asking', async () => {
    const { a, b } = two();
    b.tier.cutBus();
    await b.cache.getOrLoad(devices, async () => 'old');
    await a.cache.invalidate(devices);
    b.tier.mendBus();
    expect(await b.cache.getOrLoad(devices, async () => 'new')).toBe('new');
  });

  test('does not trust what was being loaded when the bus broke', async () => {
    const { a, b } = two();
    const { load, began } = heldLoader();
    const caller = b.cache.getOrLoad(devices, load);
    await settled();
    b.tier.cutBus();
    began[0]?.resolve('old');
    await caller;
    await a.cache.invalidate(devices);
    b.tier.mendBus();
    expect(await b.cache.getOrLoad(devices, async () => 'new')).toBe('new');
  });

  test('hears that everything was dropped', async () => {
    const { a, b, remote } = two();
    for (const { cache } of [a, b]) await cache.getOrLoad(devices, async () => 'old');
    remote.flush();
    for (const { cache } of [a, b]) expect(await cache.getOrLoad(devices, async () => 'new')).toBe('new');
  });

  test('answers from memory what this process has just loaded', async () => {
    const { a } = two();
    await a.cache.getOrLoad(stats, async () => 1);
    await a.cache.getOrLoad(devices, async () => 1);
    await a.cache.getOrLoad(devices, async () => 2);
    expect(a.cache.metrics().cache.devices).toMatchObject({ misses: 1, memoryHits: 1, remoteHits: 0 });
  });
});

function processesOf(count: number) {
  const { all, ...rest } = processes(count);
  return { ...rest, a: all[0] as Process };
}
