import type { GetOptions } from '../cache/read-options.ts';
import { ArgumentError, asArgument, assertKnownOptions, listed } from '../errors.ts';
import type { CacheKey } from '../keys/cache-key.ts';
import { handedOut } from '../memory/sharing.ts';
import type { TagRecord } from '../memory/tag-records.ts';
import type { TierClock } from '../ports/remote-tier.ts';
import { decodedValue, type HeldEntry, hold, usable } from './hold.ts';
import type { Found, Looker } from './looks/looker.ts';
import { countOutcome, handed } from './outcome.ts';
import type { EngineParts, Outcome, ResourceState } from './parts.ts';
import { assertKey, heededClock } from './read-request.ts';
import { type Freshness, freshness } from './steps/freshness.ts';
import type { Reading } from './steps/readings.ts';
import { epochOf, surely, trusted } from './steps/trust.ts';

/** One key that is looked at and not loaded. */
export interface Glance {
  readonly key: CacheKey;
  readonly state: ResourceState;
  readonly minClock: TierClock;
}

/** The value of a key if a tier has one that may be served; `undefined` if none has. */
export async function get(
  parts: EngineParts,
  key: CacheKey,
  options: GetOptions | undefined,
): Promise<unknown> {
  parts.use();
  const glance = glanceAt(parts, key, minClockOf(parts, 'get', options));
  const held = fromMemory(parts, glance) ?? (await fromRemote(parts, glance));
  count(glance, held);
  return held?.value;
}

/** The values of many keys, in the order asked: what memory has, then one read for all that it has not. */
export async function getMany(
  parts: EngineParts,
  asked: readonly CacheKey[],
  options: GetOptions | undefined,
): Promise<unknown[]> {
  parts.use();
  const minClock = minClockOf(parts, 'getMany', options);
  const keys = listed('getMany', asked);
  // All of them are checked before the first is counted.
  for (const key of keys) assertKey(parts, key);
  const { memory, tags, sharing } = parts;
  const now = parts.clock.now();
  const values: unknown[] = new Array(keys.length);
  const missing: number[] = [];
  for (let place = 0; place < keys.length; place++) {
    const key = keys[place] as CacheKey;
    const entry = memory.get(key.wire);
    if (entry !== undefined && entry.clock >= minClock && surely(entry, memory.epoch, now, tags.stamp)) {
      const { policy, counters } = parts.resourceState(key.resource);
      const life = freshness(entry, now, policy);
      if (isServed(life)) {
        counters.memoryHits++;
        if (life === 'stale') counters.staleServed++;
        values[place] = handedOut(entry.value, sharing);
        continue;
      }
    }
    missing.push(place);
  }
  if (missing.length === 0) return values;
  const together = new Together(parts, counted);
  for (const place of missing) {
    const key = keys[place] as CacheKey;
    together.add(key, parts.resourceState(key.resource), minClock);
  }
  const found = await together.taken;
  for (let index = 0; index < missing.length; index++) {
    const place = missing[index] as number;
    const value = found[index];
    if (value === undefined) parts.resourceState((keys[place] as CacheKey).resource).counters.misses++;
    // Also where there is none: `map()` goes past a place that was never written.
    values[place] = value;
  }
  return values;
}

/** The value that memory would answer with now. Counts nothing and reads nothing. */
export function peek(parts: EngineParts, key: CacheKey): unknown {
  const entry = parts.memory.get(key?.wire);
  if (entry !== undefined) {
    const now = parts.coarse.now();
    if (now < entry.quietUntil && surely(entry, parts.memory.epoch, now, parts.tags.stamp)) {
      return parts.sharing === 'clone' ? handedOut(entry.value, 'clone') : entry.value;
    }
  }
  parts.use();
  return fromMemory(parts, glanceAt(parts, key, 0))?.value;
}

export function glanceAt(parts: EngineParts, key: CacheKey, minClock: TierClock): Glance {
  assertKey(parts, key);
  return { key, state: parts.resourceState(key.resource), minClock };
}

export function minClockOf(parts: EngineParts, verb: string, options: GetOptions | undefined): TierClock {
  if (options === undefined) return 0;
  if (typeof options !== 'object' || options === null) {
    throw new ArgumentError(`${verb}: takes { minClock }; got ${String(options)}`);
  }
  asArgument(() => assertKnownOptions(verb, options, ['minClock']));
  return heededClock(parts, options.minClock);
}

export function fromMemory(parts: EngineParts, glance: Glance): Outcome | undefined {
  const entry = parts.memory.get(glance.key.wire);
  if (entry === undefined || entry.clock < glance.minClock) return undefined;
  if (!trusted(entry, parts.memory.epoch, parts.clock.now())) return undefined;
  return served(parts, glance, entry, 'memory');
}

/** A look at the remote tier; one that does not answer has nothing. */
async function fromRemote(parts: EngineParts, glance: Glance): Promise<Outcome | undefined> {
  return (await lookAt(parts, glance, taken).taken)[0];
}

/** A look that is answered alone. */
export function lookAt<T>(parts: EngineParts, { key, state, minClock }: Glance, take: Take<T>): Together<T> {
  const together = new Together(parts, take);
  together.add(key, state, minClock);
  return together;
}

/** What a look at the remote tier comes to. */
export type Take<T> = (parts: EngineParts, glance: Glance, reading: Reading, found: Found) => T | undefined;

/** Looks at the remote tier that are answered together; none of them is a promise of its own. */
export class Together<T> {
  readonly parts: EngineParts;
  readonly take: Take<T>;
  /** Since they were sent. */
  reading: Reading | undefined;
  readonly #taken: (T | undefined)[] = [];
  #left = 0;
  #promise: Promise<readonly (T | undefined)[]> | undefined;
  #resolve: ((taken: readonly (T | undefined)[]) => void) | undefined;

  constructor(parts: EngineParts, take: Take<T>) {
    this.parts = parts;
    this.take = take;
  }

  /** One look more, in the same tick as the others, so that they are one read. */
  add(key: CacheKey, state: ResourceState, minClock: TierClock): void {
    const { looks, enabled } = this.parts;
    if (enabled) looks?.add(new Glancing(this, key, state, minClock, this.#left++));
  }

  /** In the order asked; `undefined` also where the tier does not answer, which was told by then, or is not asked. */
  get taken(): Promise<readonly (T | undefined)[]> {
    if (this.#left === 0) return Promise.resolve(this.#taken);
    this.#promise ??= new Promise((resolve) => {
      this.#resolve = resolve;
    });
    return this.#promise;
  }

  /** What one of them came to. */
  told(place: number, taken: T | undefined): void {
    this.#taken[place] = taken;
    if (--this.#left > 0) return;
    if (this.reading !== undefined) this.parts.readings.end(this.reading);
    this.#resolve?.(this.#taken);
  }
}

class Glancing<T> implements Looker, Glance {
  readonly key: CacheKey;
  readonly state: ResourceState;
  readonly minClock: TierClock;
  readonly wire: string;
  readonly records: readonly TagRecord[];
  readonly #together: Together<T>;
  readonly #place: number;

  constructor(
    together: Together<T>,
    key: CacheKey,
    state: ResourceState,
    minClock: TierClock,
    place: number,
  ) {
    const { parts } = together;
    this.key = key;
    this.state = state;
    this.minClock = minClock;
    this.wire = key.wire;
    this.records = parts.tags.retain(key.tags, parts.everything);
    this.#together = together;
    this.#place = place;
  }

  sent(): void {
    const { parts } = this.#together;
    this.#together.reading ??= parts.readings.begin(epochOf(parts.memory.epoch), parts.tags.changes);
  }

  found(found: Found): void {
    const { parts, take, reading } = this.#together;
    let taken: T | undefined;
    try {
      taken = take(parts, this, reading as Reading, found);
    } finally {
      parts.tags.release(found.others);
      this.#told(taken);
    }
  }

  failed(): void {
    this.#told(undefined);
  }

  #told(taken: T | undefined): void {
    this.#together.parts.tags.release(this.records);
    this.#together.told(this.#place, taken);
  }
}

/** What a read may answer with; nothing where an invalidation of this process resolved before the answer came. */
export function taken(
  parts: EngineParts,
  glance: Glance,
  reading: Reading,
  found: Found,
): Outcome | undefined {
  const { wire, tags } = glance.key;
  const change = reading.changeOf(wire, tags, parts.everything);
  if (change === 'overtaken') return undefined;
  const entry = hold(parts, reading, change === undefined, glance, found);
  return entry && served(parts, glance, entry, 'remote');
}

/** The value of a hit, which is counted. */
function counted(parts: EngineParts, glance: Glance, reading: Reading, found: Found): unknown {
  const { key, state } = glance;
  const change = reading.changeOf(key.wire, key.tags, parts.everything);
  if (change === 'overtaken') return undefined;
  const now = parts.coarse.now();
  let value: unknown;
  let life: Freshness;
  if (parts.memory.maxEntries > 0) {
    const held = hold(parts, reading, change === undefined, glance, found);
    if (held === undefined) return undefined;
    life = freshness(held, now, state.policy);
    value = held.value;
  } else {
    const entry = usable(parts, glance, found);
    if (entry === undefined) return undefined;
    life = freshness(entry, parts.time.toTier(now), state.policy);
    value = isServed(life) ? decodedValue(parts, key, entry) : undefined;
  }
  if (value === undefined || !isServed(life)) return undefined;
  state.counters.remoteHits++;
  if (life === 'stale') state.counters.staleServed++;
  return handedOut(value, parts.sharing);
}

function isServed(life: Freshness): life is 'fresh' | 'stale' {
  return life === 'fresh' || life === 'stale';
}

function served(
  parts: EngineParts,
  glance: Glance,
  entry: HeldEntry,
  from: Outcome['from'],
): Outcome | undefined {
  const life = freshness(entry, parts.coarse.now(), glance.state.policy);
  if (!isServed(life)) return undefined;
  const state = life === 'fresh' ? 'hit' : 'stale';
  const { value, clock, loadMs, freshUntil } = entry;
  return handed(parts, { value, state, from, clock, loadMs, freshUntil });
}

function count({ state }: Glance, outcome: Outcome | undefined): void {
  if (outcome === undefined) state.counters.misses++;
  else countOutcome(state.counters, outcome);
}
