import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Cache } from '../cache.ts';
import { type CacheOptions, createCache } from '../create-cache.ts';
import { encodeLease } from '../entry.ts';
import { defineKeys, resource } from '../key-space.ts';
import { defaultPolicy } from '../policy.ts';
import { type Clock, systemClock } from '../ports/clock.ts';
import type { RemoteTier } from '../ports/remote-tier.ts';

/** How the connection of one process is broken and mended. */
export interface RaceLink {
  /** The server is gone: nothing connects. */
  refuse(): void;
  /** The server is stopped: nothing answers. */
  hang(): void;
  /** All is well again. */
  mend(): void;
  /** Keeps answers to reads back, and no push, until the function it gives is called. */
  hold(): () => void;
  /** Breaks the connection that hears what others change; it may come back by itself. */
  cutBus(): void;
  /** How many connections are open. */
  connections(): number;
}

/** One process of a race. */
export interface RaceProcess {
  readonly tier: RemoteTier;
  readonly link: RaceLink;
}

/** A store on which races are run, fresh for every test. */
export interface RaceFixture {
  /** The namespace that no other test uses. */
  readonly namespace: string;
  /** One more process on the same store, with connections of its own. Absent: memory is all there is. */
  readonly open?: () => Promise<RaceProcess>;
  /** Writes any text at a key, as a foreign client might. */
  readonly write?: (key: string, text: string) => Promise<void>;
  /** Removes a key, as a foreign client might. */
  readonly remove?: (key: string) => Promise<void>;
  /** Puts something at a key that is no string. */
  readonly spoil?: (key: string) => Promise<void>;
  /** Closes what the fixture opened; caches are closed before. */
  close(): Promise<void>;
}

/** What {@link raceSuite} takes besides. */
export interface RaceSuiteOptions {
  /** How often each race is run. @defaultValue 100 with `CACHEKIT_LONG=1` in the environment, else 1 */
  readonly repetitions?: number;
  /** Whether memory hears of writes that no CacheKit made. @defaultValue false */
  readonly hearsForeign?: boolean;
  /** Whether there are several processes. @defaultValue true */
  readonly processes?: boolean;
  /** Loads that fail in R26. @defaultValue 2_000 */
  readonly failingLoads?: number;
}

const tenant = 'acme';
/** Patience on a machine that does other things too. */
const patienceMs = 15_000;
/** What a caller may wait for a tier that does not answer, its first time. */
const coldReadMs = 5_000;

/**
 * Runs the races that caches lose: R1 to R27, each a named test. Called at the top of a file of tests for vitest; time is
 * real.
 *
 * @param name - Of the store, for the name of the block.
 * @param fixture - Called before each race.
 */
export function raceSuite(
  name: string,
  fixture: () => Promise<RaceFixture>,
  options: RaceSuiteOptions = {},
): void {
  const long = process.env.CACHEKIT_LONG === '1';
  const repetitions = options.repetitions ?? (long ? 100 : 1);
  const many = options.processes ?? true;
  const failingLoads = options.failingLoads ?? 2_000;

  describe(`races: ${name}`, () => {
    let store: RaceFixture;
    let caches: Cache[];
    let keys: ReturnType<typeof keysOf>;

    async function setUp(): Promise<void> {
      store = await fixture();
      caches = [];
      keys = keysOf(store.namespace);
    }

    async function tearDown(): Promise<void> {
      await Promise.all(caches.map((cache) => cache.close()));
      await store.close();
    }

    beforeEach(setUp);
    afterEach(tearDown);

    /** A race, run as often as is asked for, each time on a fresh store. */
    function race(title: string, run: () => Promise<void>, times: number = repetitions): void {
      test(
        title,
        async () => {
          for (let time = 0; time < times; time++) {
            if (time > 0) {
              await tearDown();
              await setUp();
            }
            await run();
          }
        },
        60_000 + times * 10_000,
      );
    }

    async function start(over: CacheOptions = {}): Promise<{ cache: Cache; link: RaceLink }> {
      const opened = await store.open?.();
      const cache = createCache({
        namespace: store.namespace,
        ...(opened === undefined ? {} : { remote: opened.tier }),
        ...over,
      });
      caches.push(cache);
      return { cache, link: opened?.link ?? noLink };
    }

    async function processes<const Count extends number>(
      _count: Count,
    ): Promise<{ cache: Cache; link: RaceLink }[]> {
      return await Promise.all(Array.from({ length: _count }, () => start()));
    }

    const item = (id: string) => keys.item({ tenant, id });

    async function inMemory(cache: Cache, id: string, value: unknown): Promise<void> {
      await vi.waitFor(
        async () => {
          expect(await cache.getOrLoad(item(id), async () => value)).toEqual(value);
          expect(cache.peek(item(id))).toEqual(value);
        },
        { timeout: patienceMs, interval: 5 },
      );
    }

    function eventually(read: () => Promise<unknown>, value: unknown): Promise<void> {
      return vi.waitFor(async () => expect(await read()).toEqual(value), {
        timeout: patienceMs,
        interval: 5,
      });
    }

    race('R1 an invalidation during a load: the next read of the process is new', async () => {
      const { cache } = await start();
      const { load, began } = held();
      const early = cache.getOrLoad(item('a'), load);
      const first = await began(0);
      await cache.invalidate(item('a'));
      first.resolve('old');
      expect(await early).toBe('old');
      expect(await cache.getOrLoad(item('a'), async () => 'new')).toBe('new');
      expect(await cache.getOrLoad(item('a'), async () => 'newer')).toBe('new');
    });

    race('R4 a set() during a load is not overwritten by it', async () => {
      const { cache } = await start();
      const other = many ? (await start()).cache : cache;
      const { load, began } = held();
      const early = cache.getOrLoad(item('a'), load);
      const first = await began(0);
      await cache.set(item('a'), 'set');
      first.resolve('old');
      await early;
      for (const reader of [cache, other]) {
        expect(await reader.getOrLoad(item('a'), async () => 'loaded')).toBe('set');
      }
    });

    race('R5 a tag invalidated during a load of an entry that carries it', async () => {
      const { cache } = await start();
      const other = many ? (await start()).cache : cache;
      const { load, began } = held();
      const early = cache.getOrLoad(item('a'), load);
      const first = await began(0);
      await other.invalidateTags(keys.tag(tenant, 'items'));
      first.resolve('old');
      await early;
      for (const reader of [cache, other]) {
        expect(await reader.getOrLoad(item('a'), async () => 'new')).toBe('new');
      }
    });

    race('R14 1,000 callers of a load that fails: it runs once, and all are told', async () => {
      const { cache } = await start();
      const failure = new Error('no database');
      const load = vi.fn(async () => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        throw failure;
      });
      const callers = Array.from({ length: 1_000 }, () => cache.getOrLoad(item('a'), load));
      for (const result of await Promise.allSettled(callers)) {
        expect(result).toEqual({ status: 'rejected', reason: failure });
      }
      expect(load).toHaveBeenCalledTimes(1);
    });

    race('R15 0, "", false and null are hits', async () => {
      const { cache } = await start();
      const other = many ? (await start()).cache : cache;
      for (const [index, value] of [0, '', false, null].entries()) {
        await cache.getOrLoad(item(`${index}`), async () => value);
        expect(await other.getOrLoad(item(`${index}`), async () => 'missed')).toBe(value);
      }
    });

    race('R22 a loader that never answers holds nobody for ever', async () => {
      const { cache } = await start();
      const never = () => new Promise<never>(() => {});
      const policy = { timeout: { hard: '200ms' } } as const;
      const both = [cache.getOrLoad(item('a'), never, policy), cache.getOrLoad(item('a'), never, policy)];
      for (const result of await Promise.allSettled(both)) {
        expect(result).toMatchObject({ status: 'rejected', reason: { code: 'LOAD_TIMEOUT' } });
      }
      expect(await cache.getOrLoad(item('a'), async () => 'later')).toBe('later');
      expect(defaultPolicy.hardTimeoutMs).toBeLessThanOrEqual(30_000);
    });

    race('R23 ids that mean something elsewhere are ids', async () => {
      const { cache } = await start();
      const ids = [
        '__proto__',
        'constructor',
        '*',
        '?[a-z]',
        'a\nb',
        'a b',
        'é',
        '🙂',
        '{x}',
        'a:b',
        '%',
        '#items',
      ];
      for (const id of ids) await cache.getOrLoad(item(id), async () => id);
      for (const id of ids) expect(await cache.getOrLoad(item(id), async () => 'missed')).toBe(id);
      await cache.invalidate(item('*'));
      expect(await cache.getOrLoad(item('*'), async () => 'new')).toBe('new');
      expect(await cache.getOrLoad(item('a b'), async () => 'missed')).toBe('a b');
    });

    race('R24 a result that is changed does not change the cache', async () => {
      for (const share of ['freeze', 'clone'] as const) {
        const { cache } = await start({ memory: { share } });
        const id = `list of ${share}`;
        for (let turn = 0; turn < 3; turn++) {
          const value = (await cache.getOrLoad(item(id), async () => ({ list: [1] }))) as { list: number[] };
          try {
            value.list.push(2);
          } catch (error) {
            expect(error).toBeInstanceOf(TypeError);
          }
        }
        expect(await cache.getOrLoad(item(id), async () => 'missed')).toEqual({ list: [1] });
      }
    });

    race('R25 a refresh that fails goes on serving, and is no unhandled rejection', async () => {
      const unhandled = vi.fn();
      process.on('unhandledRejection', unhandled);
      try {
        const { cache } = await start();
        const policy = { ttl: 20, staleWhileRevalidate: '1m' } as const;
        await cache.getOrLoad(item('a'), async () => 'old', policy);
        await vi.waitFor(
          async () => {
            const fails = async () => {
              throw new Error('no database');
            };
            expect(await cache.read(item('a'), fails, policy)).toMatchObject({
              value: 'old',
              state: 'stale',
            });
          },
          { timeout: patienceMs, interval: 10 },
        );
        await vi.waitFor(() => expect(cache.metrics().cache.overall.loadErrors).toBeGreaterThan(0), {
          timeout: patienceMs,
        });
        await new Promise((resolve) => setImmediate(resolve));
        expect(unhandled).not.toHaveBeenCalled();
      } finally {
        process.off('unhandledRejection', unhandled);
      }
    });

    race(
      `R26 ${failingLoads} loads that fail leave nothing behind`,
      async () => {
        const { cache } = await start();
        const fails = async () => {
          throw new Error('no database');
        };
        const batch = async (from: number, count: number) => {
          const ids = Array.from({ length: count }, (_, index) => `failing ${from + index}`);
          await Promise.allSettled(ids.map((id) => cache.getOrLoad(item(id), fails)));
        };
        const size = 500;
        for (let from = 0; from < 4 * size; from += size) await batch(from, size);
        const before = heapUsed();
        for (let from = 0; from < failingLoads; from += size) await batch(1_000_000 + from, size);
        // 20 bytes for each, and what a process that does other things too uses meanwhile.
        expect(heapUsed() - before).toBeLessThan(20 * failingLoads + 2_000_000);
        expect(cache.metrics().memory.entries).toBe(0);
      },
      1,
    );

    race('R27 close() leaves nothing that keeps the process alive', async () => {
      const { cache, link } = await start();
      await cache.getOrLoad(item('a'), async () => 1);
      const waiting = cache.getOrLoad(
        item('b'),
        ({ signal }) => {
          return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
        },
        { timeout: { hard: '300ms' } },
      );
      const failed = expect(waiting).rejects.toMatchObject({ code: 'LOAD_TIMEOUT' });
      await cache.close();
      await failed;
      await store.close();
      await vi.waitFor(() => expect(link.connections()).toBe(0), { timeout: patienceMs });
      await setUp();
    });

    if (!many) return;

    race('R2 an invalidation during a load: another process reads what is new', async () => {
      const [a, b, c] = (await processes(3)) as [Racer, Racer, Racer];
      const { load, began } = held();
      const early = a.cache.getOrLoad(item('a'), load);
      const first = await began(0);
      await a.cache.invalidate(item('a'));
      first.resolve('old');
      await early;
      expect(await c.cache.getOrLoad(item('a'), async () => 'new')).toBe('new');
      for (const { cache } of [a, b]) expect(await cache.getOrLoad(item('a'), async () => 'no')).toBe('new');
    });

    race('R3 another process invalidates while one loads', async () => {
      const [a, b] = (await processes(2)) as [Racer, Racer];
      const { load, began } = held();
      const early = a.cache.getOrLoad(item('a'), load);
      const first = await began(0);
      await b.cache.invalidate(item('a'));
      first.resolve('old');
      await early;
      for (const { cache } of [b, a]) {
        expect(await cache.getOrLoad(item('a'), async () => 'new')).toBe('new');
      }
    });

    race('R6 a tag invalidated by a process whose clock is wrong', async () => {
      const a = await start();
      for (const skewMs of [-5_000, 5_000, -3_600_000, 3_600_000]) {
        const wrong = await start({ clock: skewed(skewMs) });
        const id = `skew ${skewMs}`;
        await a.cache.getOrLoad(item(id), async () => 'old');
        await wrong.cache.invalidateTags(keys.tag(tenant, 'items'));
        expect(await wrong.cache.getOrLoad(item(id), async () => 'new')).toBe('new');
        await eventually(() => a.cache.getOrLoad(item(id), async () => 'no'), 'new');
        // What the wrong clock stored is as fresh elsewhere as it is there.
        expect(await (await start()).cache.getOrLoad(item(id), async () => 'no')).toBe('new');
      }
    });

    race('R7 an answer that an invalidation overtook on the bus does not fill memory', async () => {
      const [a, b] = (await processes(2)) as [Racer, Racer];
      await b.cache.getOrLoad(item('a'), async () => 'old');
      // Connected and armed, with the key not in memory.
      await inMemory(a.cache, 'warm', 1);
      const letGo = a.link.hold();
      const early = a.cache.getOrLoad(item('a'), async () => 'loaded early').catch(() => {});
      // Long enough for the answer to be on its way; it is held in any case.
      await new Promise((resolve) => setTimeout(resolve, 20));
      await b.cache.invalidate(item('a'));
      await b.cache.getOrLoad(item('a'), async () => 'new');
      letGo();
      await early;
      await eventually(() => a.cache.getOrLoad(item('a'), async () => 'no'), 'new');
      expect(await a.cache.getOrLoad(item('a'), async () => 'no')).toBe('new');
    });

    race('R8 the connection of the bus is cut, and another process invalidates at once', async () => {
      const [a, b] = (await processes(2)) as [Racer, Racer];
      for (const { cache } of [a, b]) await inMemory(cache, 'a', 'old');
      a.link.cutBus();
      await b.cache.invalidate(item('a'));
      await eventually(() => a.cache.getOrLoad(item('a'), async () => 'new'), 'new');
      expect(await b.cache.getOrLoad(item('a'), async () => 'no')).toBe('new');
    });

    if (options.hearsForeign === true) {
      race('R9 a delete by a foreign client reaches memory', async () => {
        const { cache } = await start();
        await inMemory(cache, 'a', 'old');
        await store.remove?.(item('a').wire);
        await eventually(() => cache.getOrLoad(item('a'), async () => 'new'), 'new');
      });
    }

    race('R10 the store is not there at the start: a cold read goes to its loader', async () => {
      const { cache, link } = await start();
      link.refuse();
      const startedAt = performance.now();
      expect(await cache.getOrLoad(item('a'), async () => 'loaded')).toBe('loaded');
      expect(performance.now() - startedAt).toBeLessThan(coldReadMs);
      link.mend();
    });

    race('R11 the store stops: a cold read goes to its loader', async () => {
      const { cache, link } = await start();
      await cache.getOrLoad(item('warm'), async () => 1);
      link.hang();
      const startedAt = performance.now();
      expect(await cache.getOrLoad(item('a'), async () => 'loaded')).toBe('loaded');
      expect(performance.now() - startedAt).toBeLessThan(coldReadMs);
      link.mend();
    });

    race('R12 the store dies: a cold read goes to its loader', async () => {
      const { cache, link } = await start();
      await cache.getOrLoad(item('warm'), async () => 1);
      link.refuse();
      const startedAt = performance.now();
      expect(await cache.getOrLoad(item('a'), async () => 'loaded')).toBe('loaded');
      expect(performance.now() - startedAt).toBeLessThan(coldReadMs);
      link.mend();
    });

    race('R13 an invalidation that does not get through is refused, or carried out later', async () => {
      const rejecting = await start();
      const repairing = await start({ onUnreached: 'repair' });
      const other = await start();
      await other.cache.getOrLoad(item('a'), async () => 'old');
      for (const { cache } of [rejecting, repairing]) await cache.getOrLoad(item('a'), async () => 'no');
      for (const { link } of [rejecting, repairing]) link.refuse();
      await expect(rejecting.cache.invalidate(item('a'))).rejects.toMatchObject({ code: 'TIER_FAILED' });
      await repairing.cache.invalidate(item('a'));
      for (const { link } of [rejecting, repairing]) link.mend();
      await eventually(() => other.cache.getOrLoad(item('a'), async () => 'new'), 'new');
    });

    race('R16 memory that is filled from the store keeps what is left of the ttl', async () => {
      const [a, b] = (await processes(2)) as [Racer, Racer];
      const policy = { ttl: '1500ms' } as const;
      await a.cache.getOrLoad(item('a'), async () => 'old', policy);
      const storedAt = performance.now();
      await new Promise((resolve) => setTimeout(resolve, 700));
      await b.cache.getOrLoad(item('a'), async () => 'old', policy);
      const loads = b.cache.metrics().cache.overall.loads;
      await new Promise((resolve) => setTimeout(resolve, 1_600 - (performance.now() - storedAt)));
      const late = await b.cache.getOrLoad(item('a'), async () => 'new', policy);
      // On a machine that stood still the read in between was already a load; then there is nothing to see.
      if (loads === 0) expect(late).toBe('new');
    });

    race('R17 garbage at a key goes to the loader, and is replaced', async () => {
      const { cache } = await start();
      const now = Date.now();
      const lease = (until: number) => encodeLease({ token: 'aForeigner', clock: now * 1_000, until });
      for (const text of [
        '',
        'garbage',
        '{"value":1}',
        'C1V',
        'C1V'.padEnd(200, '0'),
        'C1L',
        'C1L'.padEnd(200, '0'),
        // What would be leases if they went away by themselves.
        lease(now - 60_000),
        lease(now + 3_600_000),
      ]) {
        await store.write?.(item('a').wire, text);
        const reader = (await start()).cache;
        const damaged = vi.fn();
        reader.on('damaged', damaged);
        const startedAt = performance.now();
        expect(await reader.getOrLoad(item('a'), async () => 'loaded')).toBe('loaded');
        // Nobody waits for a lease that nobody holds.
        expect(performance.now() - startedAt).toBeLessThan(coldReadMs);
        expect(damaged).toHaveBeenCalledTimes(store.write === undefined ? 0 : 1);
        expect(await (await start()).cache.getOrLoad(item('a'), async () => 'no')).toBe('loaded');
        await cache.invalidate(item('a'));
      }
    });

    race('R18 something of another type at a key goes to the loader', async () => {
      const { cache } = await start();
      await store.spoil?.(item('a').wire);
      expect(await cache.getOrLoad(item('a'), async () => 'loaded')).toBe('loaded');
      await cache.invalidate(item('a'));
      expect(await cache.getOrLoad(item('a'), async () => 'new')).toBe('new');
    });

    race('R19 two processes set a key at once, and all agree on what it came to', async () => {
      const [a, b] = (await processes(2)) as [Racer, Racer];
      const late = await start();
      for (let round = 0; round < (long ? 100 : 20); round++) {
        await Promise.all([a.cache.set(item('a'), `a${round}`), b.cache.set(item('a'), `b${round}`)]);
        const values = await Promise.all(
          [a, b].map(({ cache }) => cache.getOrLoad(item('a'), async () => 'no')),
        );
        expect(values[0]).toMatch(new RegExp(`^[ab]${round}$`));
        expect(values[1]).toBe(values[0]);
        await eventually(() => late.cache.getOrLoad(item('a'), async () => 'no'), values[0]);
      }
    });

    race(
      'R20 an invalidation by a process that does not have the key reaches the memory of others',
      async () => {
        const [a, b] = (await processes(2)) as [Racer, Racer];
        await inMemory(a.cache, 'a', 'old');
        await b.cache.invalidate(item('a'));
        await eventually(() => a.cache.getOrLoad(item('a'), async () => 'new'), 'new');
      },
    );

    race('R21 four processes, one cold key: one load', async () => {
      const all = await processes(4);
      const load = vi.fn(async () => {
        await new Promise((resolve) => setTimeout(resolve, 50));
        return 'loaded';
      });
      const callers = all.flatMap(({ cache }) =>
        Array.from({ length: 50 }, () => cache.getOrLoad(item('a'), load)),
      );
      expect(new Set(await Promise.all(callers))).toEqual(new Set(['loaded']));
      expect(load).toHaveBeenCalledTimes(1);
    });
  });
}

type Racer = { readonly cache: Cache; readonly link: RaceLink };

const noLink: RaceLink = {
  refuse: () => {},
  hang: () => {},
  mend: () => {},
  hold: () => () => {},
  cutBus: () => {},
  connections: () => 0,
};

function keysOf(namespace: string) {
  return defineKeys({
    namespace,
    scope: 'tenant',
    resources: { item: resource<unknown, { id: string }>({ ttl: '1m', tags: ['items'] }) },
  });
}

/** A loader whose loads end when the race says so. */
function held(): {
  readonly load: () => Promise<unknown>;
  readonly began: (index: number) => Promise<PromiseWithResolvers<unknown>>;
} {
  const loads: PromiseWithResolvers<unknown>[] = [];
  return {
    load: () => {
      const load = Promise.withResolvers<unknown>();
      loads.push(load);
      return load.promise;
    },
    began: (index) =>
      vi.waitFor(
        () => {
          const load = loads[index];
          if (load === undefined) throw new Error('The load has not begun');
          return load;
        },
        { timeout: patienceMs, interval: 1 },
      ),
  };
}

/** A clock that is off. */
function skewed(skewMs: number): Clock {
  return {
    now: () => systemClock.now() + skewMs,
    setTimeout: (run, delayMs) => systemClock.setTimeout(run, delayMs),
    clearTimeout: (timer) => systemClock.clearTimeout(timer),
  };
}

/** What the heap holds after everything that nobody needs is gone. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}
