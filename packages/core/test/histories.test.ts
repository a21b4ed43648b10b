import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Cache, createCache, type TierClock, tenantPrefix } from '../src/index.ts';
import { FakeClock, MemoryRemote, type MemoryRemoteTier, memoryRemoteTier } from '../src/testing/index.ts';
import { keys, settled } from './keys.ts';

/** The keys of the histories; the second has a tag of its own, the last is served stale. */
const subjects = [
  keys.devices({ tenant: 'a' }),
  keys.calls({ tenant: 'a', limit: 1 }),
  keys.devices({ tenant: 'b' }),
  keys.kept({ tenant: 'a' }),
];
const tags = ['devices', 'calls'];
const processCount = 3;
/** That of each process. */
const memories = [{ share: 'freeze' }, { share: 'clone', maxEntries: 3 }, false] as const;
/** Longest life of a value that was loaded while the tier did not answer. */
const degradedMs = 1_000;

type Subject = (typeof subjects)[number];
type Load = () => Promise<unknown>;

/** All the ways to read; those that load nothing may give nothing. */
const ways: readonly ((
  cache: Cache,
  subject: Subject,
  load: Load,
  minClock: TierClock,
) => Promise<unknown>)[] = [
  (cache, subject, load) => cache.getOrLoad(subject, load),
  (cache, subject, load) => cache.getOrLoad(subject, load),
  (cache, subject, load, minClock) => cache.getOrLoad(subject, load, { minClock }),
  async (cache, subject, load) => (await cache.read(subject, load)).value,
  async (cache, subject, load) => JSON.parse((await cache.readRaw(subject, load)).text),
  async (cache, subject) => JSON.parse((await cache.getRaw(subject))?.text ?? 'null') ?? undefined,
  (cache, subject) => cache.get(subject),
  async (cache, subject) => (await cache.getMany([subject, subject]))[1],
  async (cache, subject, load) =>
    (
      await cache.getManyOrLoad(
        [1],
        () => subject,
        async () => [await load()],
      )
    )[0],
  (cache, subject, load) => cache.refresh(subject, load),
  async (cache, subject) => cache.peek(subject),
];

type Step =
  | {
      readonly do: 'read';
      readonly by: number;
      readonly key: number;
      readonly turns: number;
      readonly way: number;
    }
  | { readonly do: 'invalidate' | 'set' | 'setMany'; readonly by: number; readonly key: number }
  | { readonly do: 'tag'; readonly by: number; readonly tag: number }
  | { readonly do: 'clear' | 'prefix' | 'erase' | 'cut' | 'mend' | 'fail' | 'recover'; readonly by: number }
  | { readonly do: 'settle' }
  | { readonly do: 'advance'; readonly ms: number };

const by = fc.nat({ max: processCount - 1 });
const key = fc.nat({ max: subjects.length - 1 });
const turns = fc.nat({ max: 25 });
const way = fc.nat({ max: ways.length - 1 });
const faults: fc.Arbitrary<Step> = fc.record({ do: fc.constantFrom('cut', 'mend', 'fail', 'recover'), by });
const steps = (withFaults: boolean): fc.Arbitrary<Step[]> =>
  fc.array(
    fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({ do: fc.constant('read'), by, key, turns, way }) as fc.Arbitrary<Step>,
      },
      {
        weight: 3,
        arbitrary: fc.record({
          do: fc.constantFrom('invalidate', 'invalidate', 'set', 'set', 'setMany'),
          by,
          key,
        }) as fc.Arbitrary<Step>,
      },
      {
        weight: 2,
        arbitrary: fc.record({ do: fc.constant('tag'), by, tag: fc.nat({ max: 1 }) }) as fc.Arbitrary<Step>,
      },
      {
        weight: 1,
        arbitrary: fc.record({ do: fc.constantFrom('clear', 'prefix', 'erase'), by }) as fc.Arbitrary<Step>,
      },
      { weight: 4, arbitrary: fc.constant<Step>({ do: 'settle' }) },
      {
        weight: 2,
        arbitrary: fc.record({
          do: fc.constant('advance'),
          ms: fc.constantFrom(1, 300, 2_000, 6_000, 70_000),
        }) as fc.Arbitrary<Step>,
      },
      ...(withFaults ? [{ weight: 2, arbitrary: faults }] : []),
    ),
    { minLength: 5, maxLength: 60 },
  );

/** Lives through a history and checks every read against what had been invalidated before it began. */
class History {
  readonly clock = new FakeClock();
  readonly #caches: Cache[];
  readonly #tiers: MemoryRemoteTier[] = [];
  readonly #database = subjects.map(() => 0);
  /** What the invalidations that were carried out promise: nothing older than this is read. */
  readonly #floor = subjects.map(() => 0);
  /** Of the last invalidation that was carried out. */
  readonly #clocks = subjects.map(() => 0);
  readonly #failing = new Array<boolean>(processCount).fill(false);
  readonly #degradedUntil = new Array<number>(processCount).fill(0);
  readonly #running: Promise<void>[] = [];

  constructor(remote: boolean) {
    const server = new MemoryRemote({ clock: this.clock });
    this.#caches = Array.from({ length: processCount }, (_, index) => {
      if (!remote) return createCache({ clock: this.clock });
      const tier = memoryRemoteTier({ remote: server });
      this.#tiers.push(tier);
      return createCache({ clock: this.clock, remote: tier, memory: memories[index] ?? {} });
    });
    // Without a remote tier there is one process.
    if (!remote) this.#caches.fill(this.#caches[0] as Cache);
  }

  async run(history: readonly Step[]): Promise<void> {
    for (const step of history) await this.#take(step);
    for (const tier of this.#tiers) {
      tier.recover();
      tier.mendBus();
    }
    await this.clock.advance(60_000);
    await Promise.all(this.#running);
    for (let index = 0; index < processCount; index++) this.#read(index, index % subjects.length, 0, 0, true);
    await this.clock.advance(60_000);
    await Promise.all(this.#running);
    await Promise.all(this.#caches.map((cache) => cache.close()));
    expect(this.clock.timers).toBe(0);
  }

  async #take(step: Step): Promise<void> {
    switch (step.do) {
      case 'read':
        return this.#read(step.by, step.key, step.turns, step.way, false);
      case 'set':
        // Awaited: a set() that races with an invalidation may well come after it, with what was read before it.
        this.#write(step.by, [step.key], (cache, subject) => cache.set(subject, this.#database[step.key]));
        return await this.#running.at(-1);
      case 'setMany': {
        const both = [...new Set([step.key, 0])];
        this.#write(step.by, both, (cache) =>
          cache.setMany(both.map((index) => [subjects[index] as Subject, this.#database[index]] as const)),
        );
        return await this.#running.at(-1);
      }
      case 'invalidate':
        return this.#write(step.by, [step.key], (cache, subject) => cache.invalidate(subject));
      case 'tag': {
        const tag = tags[step.tag] as string;
        const tagged = subjects.flatMap(({ tags: wires }, index) =>
          wires.includes(keys.tag('a', tag).wire) ? [index] : [],
        );
        return this.#write(step.by, tagged, (cache) => cache.invalidateTags(keys.tag('a', tag)));
      }
      case 'clear':
        return this.#write(step.by, [...subjects.keys()], (cache) => cache.clear());
      case 'prefix':
      case 'erase': {
        const prefix = tenantPrefix('ck', 'c', 'a');
        const gone = subjects.flatMap(({ wire }, index) => (wire.startsWith(prefix) ? [index] : []));
        return this.#write(step.by, gone, async (cache) =>
          step.do === 'prefix' ? cache.invalidatePrefix(prefix) : (await cache.eraseTenant('a')).clock,
        );
      }
      case 'settle':
        return await settled();
      case 'advance':
        return await this.clock.advance(step.ms);
      case 'cut':
        return this.#tiers[step.by]?.cutBus();
      case 'mend':
        return this.#tiers[step.by]?.mendBus();
      case 'fail':
        this.#failing[step.by] = true;
        return this.#tiers[step.by]?.fail();
      case 'recover':
        if (this.#failing[step.by]) this.#degradedUntil[step.by] = Number.POSITIVE_INFINITY;
        this.#failing[step.by] = false;
        this.#tiers[step.by]?.recover();
    }
  }

  #read(process: number, index: number, turns: number, way: number, last: boolean): void {
    const floor = this.#floor[index] as number;
    const excused = !last && this.#excused(process);
    const cache = this.#caches[process] as Cache;
    const subject = subjects[index] as Subject;
    const read = ways[way] as (typeof ways)[number];
    const load = async () => {
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      const version = this.#database[index];
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      return version;
    };
    this.#running.push(
      read(cache, subject, load, this.#clocks[index] as TierClock).then(
        (version) => {
          if (!excused && version !== undefined) expect(version).toBeGreaterThanOrEqual(floor);
        },
        // Time jumps here, also over a load that only waits for its turn.
        (error) => expect(error).toMatchObject({ code: 'LOAD_TIMEOUT' }),
      ),
    );
  }

  #write(
    process: number,
    indexes: readonly number[],
    call: (cache: Cache, subject: Subject) => Promise<TierClock>,
  ): void {
    for (const index of indexes) this.#database[index] = (this.#database[index] as number) + 1;
    const written = indexes.map((index) => this.#database[index] as number);
    const subject = subjects[indexes[0] ?? 0] as Subject;
    this.#running.push(
      call(this.#caches[process] as Cache, subject).then(
        (clock) => {
          for (const [at, index] of indexes.entries()) {
            this.#clocks[index] = Math.max(this.#clocks[index] as number, clock);
            this.#floor[index] = Math.max(this.#floor[index] as number, written[at] as number);
          }
        },
        (error) => expect(error).toMatchObject({ code: 'TIER_FAILED' }),
      ),
    );
  }

  /** A process that does not reach the tier, or did not a moment ago, may serve what it loaded meanwhile. */
  #excused(process: number): boolean {
    if (this.#failing[process]) return true;
    if (this.#degradedUntil[process] === Number.POSITIVE_INFINITY) {
      // Reads of the breaker's second go past the tier too.
      this.#degradedUntil[process] = this.clock.now() + 2 * degradedMs;
    }
    return this.clock.now() < (this.#degradedUntil[process] as number);
  }
}

/** Every run has the same few histories; the long run has many, other ones each time. */
const runs = { numRuns: process.env.CACHEKIT_LONG === '1' ? 20_000 : 300 };

describe('random histories', () => {
  test('one process alone never reads what it has invalidated', async () => {
    await fc.assert(
      fc.asyncProperty(steps(false), (history) => new History(false).run(history)),
      runs,
    );
  }, 600_000);

  test('several processes never read what one of them has invalidated', async () => {
    await fc.assert(
      fc.asyncProperty(steps(false), (history) => new History(true).run(history)),
      runs,
    );
  }, 600_000);

  test('nor while connections break and come back', async () => {
    await fc.assert(
      fc.asyncProperty(steps(true), (history) => new History(true).run(history)),
      runs,
    );
  }, 600_000);
});
