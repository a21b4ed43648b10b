import { ArgumentError, assertKnownOptions } from '../errors.ts';
import type { CacheKey } from '../key-space.ts';
import { handedOut } from '../memory/sharing.ts';
import type { TagRecord } from '../memory/tag-records.ts';
import type { TierClock } from '../ports/remote-tier.ts';
import type { GetOptions } from '../read-options.ts';
import { begin, landed } from './fly.ts';
import { type HeldEntry, holdFound } from './hold.ts';
import { countOutcome, handed } from './outcome.ts';
import type { EngineParts, Outcome, ResourceState } from './parts.ts';
import { asArgument, assertKey, heededClock } from './read-request.ts';
import { freshness } from './steps/freshness.ts';
import type { Found, Looker, Looks } from './steps/looks.ts';
import { Flight } from './steps/single-flight.ts';
import { surely, trusted } from './steps/trust.ts';

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
  keys: readonly CacheKey[],
  options: GetOptions | undefined,
): Promise<unknown[]> {
  parts.use();
  const minClock = minClockOf(parts, 'getMany', options);
  const values: unknown[] = new Array(keys.length);
  const missing: Glance[] = [];
  const places: number[] = [];
  // All of them are checked before the first is counted.
  const glances = keys.map((key) => glanceAt(parts, key, minClock));
  for (let place = 0; place < glances.length; place++) {
    const glance = glances[place] as Glance;
    const held = fromMemory(parts, glance);
    if (held === undefined) {
      missing.push(glance);
      places.push(place);
    } else {
      countOutcome(glance.state.counters, held);
      values[place] = held.value;
    }
  }
  if (missing.length === 0) return values;
  const outcomes = await manyFromRemote(parts, missing);
  for (let index = 0; index < missing.length; index++) {
    const outcome = outcomes[index];
    count(missing[index] as Glance, outcome);
    values[places[index] as number] = outcome?.value;
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
  if (parts.looks === undefined || !parts.enabled) return undefined;
  const flight = watched(parts, glance);
  try {
    return taken(parts, glance, flight, await foundFor(parts, parts.looks, flight));
  } catch {
    // Told by whoever makes the call.
    return undefined;
  } finally {
    landed(parts, flight);
  }
}

/** All at once, so that they are one look; none of them is a promise of its own. */
function manyFromRemote(
  parts: EngineParts,
  glances: readonly Glance[],
): Promise<readonly (Outcome | undefined)[]> {
  return new Promise((resolve) => {
    const { looks } = parts;
    if (looks === undefined || !parts.enabled || glances.length === 0) return resolve([]);
    const many: Many = { outcomes: new Array(glances.length), left: glances.length, resolve };
    for (let place = 0; place < glances.length; place++) {
      looks.add(new OneOfMany(parts, glances[place] as Glance, many, place));
    }
  });
}

/** Looks that are answered together. */
interface Many {
  readonly outcomes: (Outcome | undefined)[];
  left: number;
  readonly resolve: (outcomes: readonly (Outcome | undefined)[]) => void;
}

class OneOfMany implements Looker {
  readonly wire: string;
  readonly records: readonly TagRecord[];
  readonly #parts: EngineParts;
  readonly #glance: Glance;
  readonly #flight: Flight<Outcome>;
  readonly #many: Many;
  readonly #place: number;

  constructor(parts: EngineParts, glance: Glance, many: Many, place: number) {
    const flight = watched(parts, glance);
    this.wire = flight.wire;
    this.records = flight.tags;
    this.#parts = parts;
    this.#glance = glance;
    this.#flight = flight;
    this.#many = many;
    this.#place = place;
  }

  sent(): void {
    begin(this.#parts, this.#flight, 'reading');
  }

  found(found: Found): void {
    this.#flight.others = found.others;
    try {
      this.#many.outcomes[this.#place] = taken(this.#parts, this.#glance, this.#flight, found);
    } finally {
      this.#ended();
    }
  }

  /** A tier that does not answer has nothing; it was told by whoever made the call. */
  failed(): void {
    this.#ended();
  }

  #ended(): void {
    landed(this.#parts, this.#flight);
    if (--this.#many.left === 0) this.#many.resolve(this.#many.outcomes);
  }
}

export async function foundFor(parts: EngineParts, looks: Looks, flight: Flight<Outcome>): Promise<Found> {
  const found = await looks.look(flight.wire, flight.tags, () => begin(parts, flight, 'reading'));
  flight.others = found.others;
  return found;
}

/** What is read may be changed meanwhile: a flight that nobody joins hears of it. */
export function watched(parts: EngineParts, { key }: Glance): Flight<Outcome> {
  const flight = new Flight<Outcome>(key.wire, parts.tags.retain(key.tags, parts.everything), false);
  parts.flights.watch(flight);
  return flight;
}

export function taken(
  parts: EngineParts,
  glance: Glance,
  flight: Flight<Outcome>,
  found: Found,
): Outcome | undefined {
  // An invalidation of this process resolved before the answer came: what was read may be older.
  if (flight.overtaken) return undefined;
  const entry = holdFound(parts, flight, glance, found);
  return entry && served(parts, glance, entry, 'remote');
}

function served(
  parts: EngineParts,
  glance: Glance,
  entry: HeldEntry,
  from: Outcome['from'],
): Outcome | undefined {
  const life = freshness(entry, parts.clock.now(), glance.state.policy);
  if (life !== 'fresh' && life !== 'stale') return undefined;
  const state = life === 'fresh' ? 'hit' : 'stale';
  return handed(parts, { value: entry.value, state, from, clock: entry.clock });
}

function count({ state }: Glance, outcome: Outcome | undefined): void {
  if (outcome === undefined) state.counters.misses++;
  else countOutcome(state.counters, outcome);
}
