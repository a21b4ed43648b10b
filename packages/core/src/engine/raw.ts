import { jsonCodec } from '../codecs/json.ts';
import { jsonText, keepJsonText } from '../codecs/json-text.ts';
import type { CacheKey } from '../key-space.ts';
import type { Loader } from '../loader.ts';
import type { RemoteEntry } from '../ports/remote-tier.ts';
import type { GetOptions, ReadOptions } from '../read-options.ts';
import { landed } from './fly.ts';
import { answer } from './get-or-load.ts';
import { foundFor, fromMemory, type Glance, glanceAt, minClockOf, taken, watched } from './glance.ts';
import { countOutcome } from './outcome.ts';
import type { EngineParts, Outcome } from './parts.ts';
import { readRequest } from './read-request.ts';
import { freshness } from './steps/freshness.ts';
import type { Looks } from './steps/looks.ts';
import type { Flight } from './steps/single-flight.ts';

/** A value as JSON, and where it came from. */
export interface RawOutcome extends Omit<Outcome, 'value'> {
  readonly text: string;
}

/** The JSON of a key if a tier has a value that may be served; `undefined` if none has. */
export async function getRaw(
  parts: EngineParts,
  key: CacheKey,
  options: GetOptions | undefined,
): Promise<RawOutcome | undefined> {
  parts.use();
  const glance = glanceAt(parts, key, minClockOf(parts, 'getRaw', options));
  const held = fromMemory(parts, glance);
  const raw = held === undefined ? await fromRemote(parts, glance) : inJson(held);
  if (raw === undefined) glance.state.counters.misses++;
  else countOutcome(glance.state.counters, raw);
  return raw;
}

/** The JSON of a value that is read as ever. Where no memory is to be filled, what is stored is not even parsed. */
export async function readRaw(
  parts: EngineParts,
  key: CacheKey,
  loader: Loader<unknown>,
  options: ReadOptions | undefined,
): Promise<RawOutcome> {
  parts.use();
  const request = readRequest(parts, key, loader, options, 'readRaw');
  if (storedText(parts, key)) {
    request.signal?.throwIfAborted();
    const { state, policy, minClock } = request;
    const raw = await fromRemote(parts, { key, state: { ...state, policy }, minClock });
    // A stale one is refreshed by the way of every read.
    if (raw?.state === 'hit') {
      countOutcome(state.counters, raw);
      return raw;
    }
  }
  return inJson(await answer(parts, request));
}

/** Whether what the remote tier has is handed on as it stands there: nothing has to be kept, checked or translated. */
function storedText(parts: EngineParts, key: CacheKey): boolean {
  return parts.memory.maxEntries === 0 && key.resource.check === undefined && parts.codec.id === jsonCodec.id;
}

async function fromRemote(parts: EngineParts, glance: Glance): Promise<RawOutcome | undefined> {
  if (parts.looks === undefined || !parts.enabled) return undefined;
  if (storedText(parts, glance.key)) {
    const entry = await sharedEntry(parts, glance);
    return entry === undefined || entry.clock < glance.minClock ? undefined : asStored(parts, glance, entry);
  }
  const flight = watched(parts, glance);
  try {
    const found = await foundFor(parts, parts.looks, flight);
    const outcome = taken(parts, glance, flight, found);
    if (outcome === undefined) return undefined;
    const { valid } = found;
    const unchanged = parts.codec.id === jsonCodec.id && glance.key.resource.check === undefined;
    if (unchanged && valid?.kind === 'value') keepJsonText(outcome.value, valid.payload);
    return inJson(outcome);
  } catch {
    // Told by whoever makes the call.
    return undefined;
  } finally {
    landed(parts, flight);
  }
}

/** A read of the remote tier that others may wait for too, as long as it is not known to be older than a change. */
interface SharedRead {
  readonly flight: Flight<Outcome>;
  readonly entry: Promise<RemoteEntry | undefined>;
}

const sharedReads = new WeakMap<EngineParts, Map<string, SharedRead>>();

/** What the remote tier has under a key, read once for all who ask meanwhile. */
function sharedEntry(parts: EngineParts, glance: Glance): Promise<RemoteEntry | undefined> {
  let reads = sharedReads.get(parts);
  if (reads === undefined) {
    reads = new Map();
    sharedReads.set(parts, reads);
  }
  const { wire } = glance.key;
  const running = reads.get(wire);
  if (running !== undefined && !running.flight.touched && !running.flight.overtaken) return running.entry;
  const flight = watched(parts, glance);
  const read: SharedRead = {
    flight,
    entry: entryFor(parts, flight).finally(() => {
      landed(parts, flight);
      if (reads.get(wire) === read) reads.delete(wire);
    }),
  };
  reads.set(wire, read);
  return read.entry;
}

async function entryFor(parts: EngineParts, flight: Flight<Outcome>): Promise<RemoteEntry | undefined> {
  try {
    const { valid } = await foundFor(parts, parts.looks as Looks, flight);
    return flight.overtaken ? undefined : valid;
  } catch {
    // Told by whoever makes the call.
    return undefined;
  }
}

function asStored(parts: EngineParts, glance: Glance, entry: RemoteEntry): RawOutcome | undefined {
  if (entry.kind === 'error' || (entry.kind === 'value' && entry.codec !== parts.codec.id)) return undefined;
  const freshUntil = entry.freshUntil === 0 ? 0 : parts.time.toLocal(entry.freshUntil);
  const life = freshness({ kind: entry.kind, freshUntil }, parts.clock.now(), glance.state.policy);
  if (life !== 'fresh' && life !== 'stale') return undefined;
  const text = entry.kind === 'negative' ? 'null' : entry.payload;
  return { text, state: life === 'fresh' ? 'hit' : 'stale', from: 'remote', clock: entry.clock };
}

function inJson({ value, ...outcome }: Outcome): RawOutcome {
  return { ...outcome, text: jsonText(value) };
}
