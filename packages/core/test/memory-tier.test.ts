import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hash32 } from '../src/keys/hash32.ts';
import { Ghosts } from '../src/memory/ghosts.ts';
import { type MemoryEntry, MemoryTier } from '../src/memory/tier.ts';
import { Metrics } from '../src/metrics/metrics.ts';

const counters = new Metrics(0).countersOf('test', 60_000);
const entry = (wire: string, bytes = 0): MemoryEntry => ({
  wire,
  kind: 'value',
  value: wire,
  promise: Promise.resolve(wire),
  clock: 1,
  version: wire,
  tags: [],
  counters,
  loadMs: 0,
  freshUntil: 1,
  quietUntil: 1,
  epoch: 1,
  sureAt: -1,
  degradedUntil: 0,
  asOf: 0,
  bytes,
  reads: 0,
  main: false,
  newer: undefined,
  older: undefined,
});

interface Plain {
  readonly wire: string;
  reads: number;
  main: boolean;
}

/** S3-FIFO as one would write it down: two lists, from which the first that may leave is taken. */
class PlainTier {
  readonly here = new Map<string, Plain>();
  readonly #maxEntries: number;
  readonly #ghosts: Ghosts;
  #new: Plain[] = [];
  #main: Plain[] = [];

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
    this.#ghosts = new Ghosts(maxEntries * 2);
  }

  get(wire: string): void {
    const one = this.here.get(wire);
    if (one !== undefined) one.reads = Math.min(one.reads + 1, 3);
  }

  delete(wire: string): void {
    const gone = this.here.get(wire);
    this.here.delete(wire);
    this.#new = this.#new.filter((one) => one !== gone);
    this.#main = this.#main.filter((one) => one !== gone);
  }

  set(wire: string): void {
    const before = this.here.get(wire);
    this.delete(wire);
    while (this.here.size >= this.#maxEntries) this.#evict();
    const main = before?.main ?? this.#ghosts.take(hash32(wire));
    const one = { wire, reads: before?.reads ?? 0, main };
    this.here.set(wire, one);
    (main ? this.#main : this.#new).push(one);
  }

  #evict(): void {
    const fromNew = this.#new.length > this.here.size * 0.3 || this.#main.length === 0;
    const leaving = (fromNew ? this.#unread() : undefined) ?? this.#unused();
    if (!leaving.main) this.#ghosts.add(hash32(leaving.wire));
    this.delete(leaving.wire);
  }

  #unread(): Plain | undefined {
    for (let one = this.#new.shift(); one !== undefined; one = this.#new.shift()) {
      if (one.reads === 0) return one;
      Object.assign(one, { reads: 0, main: true });
      this.#main.push(one);
    }
    return undefined;
  }

  #unused(): Plain {
    for (;;) {
      const one = this.#main.shift() as Plain;
      if (one.reads === 0) return one;
      one.reads--;
      this.#main.push(one);
    }
  }
}

describe('the memory tier', () => {
  test('keeps exactly what S3-FIFO keeps, whatever is read, written and deleted', () => {
    const step = fc.record({
      do: fc.constantFrom('set', 'set', 'get', 'get', 'delete'),
      wire: fc.constantFrom(...'abcdefghijklmnop'),
    });
    const steps = fc.array(step, { minLength: 50, maxLength: 400, size: 'max' });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), steps, (maxEntries, all) => {
        const tier = new MemoryTier(maxEntries, 1, () => {});
        const plain = new PlainTier(maxEntries);
        for (const { do: what, wire } of all) {
          plain[what as 'get'](wire);
          if (what === 'set') tier.set(entry(wire));
          else tier[what as 'get'](wire);
          expect([...tier.wires()].sort()).toEqual([...plain.here.keys()].sort());
        }
      }),
    );
  });

  test('is a map that never holds more than it may, and tells what leaves exactly once', () => {
    const step = fc.record({
      do: fc.constantFrom('set', 'get', 'delete', 'clear'),
      wire: fc.constantFrom(...'abcdefghij'),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.array(step, { maxLength: 200 }), (maxEntries, steps) => {
        const maxBytes = 20;
        const left: MemoryEntry[] = [];
        const here = new Map<string, MemoryEntry>();
        const tier = new MemoryTier(
          maxEntries,
          1,
          (gone) => {
            left.push(gone);
            expect(here.get(gone.wire)).toBe(gone);
            here.delete(gone.wire);
          },
          maxBytes,
        );
        for (const { do: what, wire } of steps) {
          if (what === 'get') expect(tier.get(wire)).toBe(here.get(wire));
          else if (what === 'delete') tier.delete(wire);
          else if (what === 'clear' && wire === 'a') tier.clear();
          else {
            const made = entry(wire, wire.charCodeAt(0) % 9);
            here.get(wire);
            tier.delete(wire);
            here.set(wire, made);
            tier.set(made);
          }
          expect(tier.size).toBe(here.size);
          expect(tier.size).toBeLessThanOrEqual(maxEntries);
          expect(tier.bytes).toBe([...here.values()].reduce((sum, { bytes }) => sum + bytes, 0));
          expect(tier.bytes).toBeLessThanOrEqual(maxBytes);
        }
        expect(new Set(left).size).toBe(left.length);
      }),
    );
  });

  test('keeps what is read again when much passes through that is read once', () => {
    const tier = new MemoryTier(100, 1, () => {});
    for (let index = 0; index < 50; index++) tier.set(entry(`hot${index}`));
    for (let round = 0; round < 100; round++) {
      for (let index = 0; index < 50; index++) expect(tier.get(`hot${index}`)).toBeDefined();
      for (let index = 0; index < 20; index++) tier.set(entry(`cold${round}:${index}`));
    }
  });

  test('takes a key back at once that left a moment ago, and keeps it over what is new', () => {
    const tier = new MemoryTier(100, 1, () => {});
    for (let index = 0; index < 200; index++) tier.set(entry(`once${index}`));
    expect(tier.get('once99')).toBeUndefined();
    tier.set(entry('once99'));
    for (let index = 200; index < 320; index++) tier.set(entry(`once${index}`));
    expect(tier.get('once99')).toBeDefined();
    expect(tier.get('once199')).toBeUndefined();
  });
});
