import { TransientMap } from '../async/transient-map.ts';
import type { Loader } from '../cache/loader.ts';
import type { GetOptions, ReadOptions } from '../cache/read-options.ts';
import { jsonCodec } from '../codecs/json.ts';
import { jsonText, keepJsonText } from '../codecs/json-text.ts';
import type { CacheKey } from '../keys/cache-key.ts';
import type { RemoteEntry } from '../ports/remote-tier.ts';
import { answer } from './get-or-load.ts';
import { fromMemory, type Glance, glanceAt, lookAt, minClockOf, type Together, taken } from './glance.ts';
import type { Found } from './looks/looker.ts';
import { countOutcome } from './outcome.ts';
import type { EngineParts, Outcome } from './parts.ts';
import { readRequest } from './read-request.ts';
import { freshness } from './steps/freshness.ts';
import type { Reading } from './steps/readings.ts';

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
  if (!storedText(parts, glance.key)) {
    const [outcome] = await lookAt(parts, glance, textTaken).taken;
    return outcome && inJson(outcome);
  }
  const [entry] = await sharedRead(parts, glance).taken;
  return entry === undefined || entry.clock < glance.minClock ? undefined : asStored(parts, glance, entry);
}

function textTaken(parts: EngineParts, glance: Glance, reading: Reading, found: Found): Outcome | undefined {
  const outcome = taken(parts, glance, reading, found);
  if (outcome === undefined) return undefined;
  const { valid } = found;
  const unchanged = parts.codec.id === jsonCodec.id && glance.key.resource.check === undefined;
  if (unchanged && valid?.kind === 'value') keepJsonText(outcome.value, valid.payload);
  return outcome;
}

/** The entry as it stands there, unless an invalidation of this process resolved before the answer came. */
function entryTaken(
  parts: EngineParts,
  { key }: Glance,
  reading: Reading,
  found: Found,
): RemoteEntry | undefined {
  const change = reading.changeOf(key.wire, key.tags, parts.everything);
  return change === 'overtaken' ? undefined : found.valid;
}

const sharedReads = new WeakMap<EngineParts, TransientMap<string, Together<RemoteEntry>>>();

/** A read that others may wait for too, as long as it is not known to be older than a change. */
function sharedRead(parts: EngineParts, glance: Glance): Together<RemoteEntry> {
  let reads = sharedReads.get(parts);
  if (reads === undefined) {
    reads = new TransientMap();
    sharedReads.set(parts, reads);
  }
  const { wire, tags } = glance.key;
  const running = reads.get(wire);
  if (running !== undefined && running.reading?.changeOf(wire, tags, parts.everything) === undefined) {
    return running;
  }
  const read = lookAt(parts, glance, entryTaken);
  reads.set(wire, read);
  const forget = (): void => {
    if (reads.get(wire) === read) reads.delete(wire);
  };
  read.taken.then(forget, forget);
  return read;
}

function asStored(parts: EngineParts, glance: Glance, entry: RemoteEntry): RawOutcome | undefined {
  if (entry.kind === 'error' || (entry.kind === 'value' && entry.codec !== parts.codec.id)) return undefined;
  const freshUntil = entry.freshUntil === 0 ? 0 : parts.time.toLocal(entry.freshUntil);
  const life = freshness({ kind: entry.kind, freshUntil }, parts.clock.now(), glance.state.policy);
  if (life !== 'fresh' && life !== 'stale') return undefined;
  const text = entry.kind === 'negative' ? 'null' : entry.payload;
  const { clock, loadMs } = entry;
  return { text, state: life === 'fresh' ? 'hit' : 'stale', from: 'remote', clock, loadMs, freshUntil };
}

function inJson({ value, ...outcome }: Outcome): RawOutcome {
  return { ...outcome, text: jsonText(value) };
}
