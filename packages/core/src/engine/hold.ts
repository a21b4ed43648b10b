import { ArgumentError } from '../errors.ts';
import type { CacheKey, KeyResource } from '../keys/cache-key.ts';
import { deepFreeze } from '../memory/deep-freeze.ts';
import { sizeOf, sizeOfText } from '../memory/size-of.ts';
import type { MemoryEntry } from '../memory/tier.ts';
import type { ResolvedPolicy } from '../policy.ts';
import type { EntryKind, RemoteEntry, TierClock } from '../ports/remote-tier.ts';
import type { Found } from './looks/looker.ts';
import type { EngineParts, Outcome, ResourceState } from './parts.ts';
import type { ReadRequest } from './read-request.ts';
import { aheadAt } from './steps/refresh-ahead.ts';
import type { Flight } from './steps/single-flight.ts';
import { trusted } from './steps/trust.ts';

/** A value on its way into memory. */
export interface Holding {
  readonly kind: EntryKind;
  readonly value: unknown;
  readonly clock: TierClock;
  readonly version: string;
  readonly loadMs: number;
  /** What the entry takes in memory, about; 0 where nobody counts. */
  readonly bytes: number;
  /** By the clock of this process. */
  readonly freshUntil: number;
  readonly tags: readonly string[];
  /** Until when it is served although the remote tier does not have it; 0 if it does. */
  readonly degradedUntil: number;
}

/** An entry that may still be served when the load fails. */
export interface OldValue {
  readonly kind: EntryKind;
  readonly value: unknown;
  readonly clock: TierClock;
  readonly version: string;
  readonly loadMs: number;
  readonly freshUntil: number;
  /** Among them all that its key does not name. */
  readonly tags: MemoryEntry['tags'];
  readonly from: Outcome['from'];
}

/** Makes the entry of a value. Whoever does not put it into memory releases its tags. */
export function memoryEntry(
  parts: EngineParts,
  flight: Pick<Flight<Outcome>, 'wire' | 'epoch' | 'asOf'>,
  state: ResourceState,
  holding: Holding,
  policy: ResolvedPolicy = state.policy,
): MemoryEntry {
  return {
    wire: flight.wire,
    kind: holding.kind,
    value: holding.value,
    promise: Promise.resolve(holding.value),
    clock: holding.clock,
    version: holding.version,
    tags: parts.tags.retain(holding.tags),
    counters: state.counters,
    loadMs: holding.loadMs,
    freshUntil: holding.freshUntil,
    quietUntil: quietUntil(parts, holding, policy),
    epoch: holding.degradedUntil === 0 ? flight.epoch : 0,
    sureAt: -1,
    degradedUntil: holding.degradedUntil,
    asOf: flight.asOf,
    bytes: holding.bytes,
    reads: 0,
    main: false,
    newer: undefined,
    older: undefined,
  };
}

/** As `freshUntil`, or earlier where it is refreshed ahead; only then anything is drawn. */
function quietUntil(
  parts: EngineParts,
  { kind, loadMs, freshUntil }: Pick<MemoryEntry, 'kind' | 'loadMs' | 'freshUntil'>,
  policy: ResolvedPolicy,
): number {
  return policy.refreshAhead === 0
    ? freshUntil
    : aheadAt({ kind, freshUntil, loadMs }, policy, parts.random());
}

/** About how much a value takes in memory, where anybody counts. */
export function bytesOf(parts: EngineParts, wire: string, value: unknown): number {
  return parts.memory.maxBytes === Number.POSITIVE_INFINITY ? 0 : sizeOf(wire, value);
}

/** What is needed of an entry that was found, whether memory keeps it or not. */
export type HeldEntry = Pick<
  MemoryEntry,
  'kind' | 'value' | 'clock' | 'version' | 'loadMs' | 'freshUntil' | 'quietUntil'
>;

/** The entry that was found remotely, decoded, and kept in memory if nobody changed it while it was read. */
export function holdFound(
  parts: EngineParts,
  flight: Flight<Outcome>,
  request: Pick<ReadRequest, 'key' | 'state' | 'minClock'>,
  found: Found,
): HeldEntry | undefined {
  return hold(parts, flight, !flight.touched && !flight.overtaken, request, found);
}

/**
 * As {@link holdFound}.
 *
 * @param place - When the read began.
 * @param current - Whether nobody changed it since.
 */
export function hold(
  parts: EngineParts,
  place: Pick<Flight<Outcome>, 'epoch' | 'asOf'>,
  current: boolean,
  request: Pick<ReadRequest, 'key' | 'state' | 'minClock'>,
  found: Found,
): HeldEntry | undefined {
  const { key, state } = request;
  const entry = usable(parts, request, found);
  if (entry === undefined) return undefined;
  const freshUntil = entry.freshUntil === 0 ? 0 : parts.time.toLocal(entry.freshUntil);
  const held = parts.memory.get(key.wire);
  if (held !== undefined && held.version === entry.version) {
    // Unchanged: trusted again without being decoded again.
    if (current) held.epoch = place.epoch;
    if (held.freshUntil !== freshUntil) {
      held.freshUntil = freshUntil;
      held.quietUntil = quietUntil(parts, held, state.policy);
    }
    return held;
  }
  const value = decodedValue(parts, key, entry);
  if (value === undefined) return undefined;
  const { kind, clock, version, loadMs, tags } = entry;
  if (!current || parts.memory.maxEntries === 0) {
    const quiet = quietUntil(parts, { kind, loadMs, freshUntil }, state.policy);
    return { kind, value, clock, version, loadMs, freshUntil, quietUntil: quiet };
  }
  const { wire } = key;
  const { epoch, asOf } = place;
  const bytes = parts.memory.maxBytes === Number.POSITIVE_INFINITY ? 0 : sizeOfText(wire, entry.payload);
  const holding = { kind, value, clock, version, loadMs, bytes, freshUntil, tags, degradedUntil: 0 };
  const made = memoryEntry(parts, { wire, epoch, asOf }, state, holding);
  parts.memory.set(made);
  return made;
}

/** What was found, if it holds and is young enough for whoever asks. */
export function usable(
  parts: EngineParts,
  { key, minClock }: Pick<ReadRequest, 'key' | 'minClock'>,
  { read, valid }: Found,
): RemoteEntry | undefined {
  if (read.state === 'absent' && read.damaged === true) {
    parts.events.emit('damaged', { key: key.wire, resource: key.resource.name });
  }
  return valid === undefined || valid.clock < minClock ? undefined : valid;
}

/** The value of an entry; `undefined` for one that cannot be decoded, which is told. */
export function decodedValue(parts: EngineParts, key: CacheKey, entry: RemoteEntry): unknown {
  try {
    return decoded(parts, key.resource, entry);
  } catch (error) {
    parts.events.emit('damaged', { key: key.wire, resource: key.resource.name, error });
    return undefined;
  }
}

/** Why a read would not get the value of what was found; told to nobody. */
export function unreadable(
  parts: EngineParts,
  { wire, resource }: CacheKey,
  { valid }: Found,
): { readonly error: unknown } | undefined {
  if (valid === undefined || parts.memory.look(wire)?.version === valid.version) return undefined;
  try {
    decoded(parts, resource, valid);
    return undefined;
  } catch (error) {
    return { error };
  }
}

/**
 * What memory could still serve if the load fails. Where the remote tier cannot be asked, also what was read before
 * changes could be missed, but never what somebody is known to have changed.
 */
export function oldInMemory(parts: EngineParts, request: ReadRequest): OldValue | undefined {
  const entry = parts.memory.get(request.key.wire);
  if (entry === undefined || entry.clock < request.minClock || entry.epoch === -1) return undefined;
  const alone = parts.remote === undefined;
  if (alone && !trusted(entry, parts.memory.epoch, parts.clock.now())) return undefined;
  if (!alone && entry.tags.some((record) => record.changedAt > entry.asOf)) return undefined;
  return { ...entry, from: 'memory' };
}

/** What is served in place of a load. */
export function servedOld({ value, from, clock, loadMs, freshUntil }: Omit<OldValue, 'tags'>): Outcome {
  return { value, state: 'stale', from, clock, loadMs, freshUntil };
}

function decoded(parts: EngineParts, resource: KeyResource, entry: RemoteEntry): unknown {
  if (entry.kind === 'negative') return null;
  if (entry.kind === 'error' || entry.codec !== parts.codec.id) {
    throw new ArgumentError(
      `An entry of kind "${entry.kind}" and codec "${entry.codec}" cannot be read here`,
    );
  }
  const stored = parts.codec.decode(entry.payload);
  const value = resource.check === undefined ? stored : resource.check(stored);
  if (value === undefined) throw new ArgumentError('undefined is no value');
  // What was just decoded is nobody else's, so memory needs no copy of it.
  return parts.memory.maxEntries > 0 && parts.sharing === 'freeze' ? deepFreeze(value) : value;
}
