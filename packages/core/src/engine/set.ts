import { encoded } from '../codecs/encoded.ts';
import { ArgumentError, asArgument, assertKnownOptions, listed } from '../errors.ts';
import type { CacheKey } from '../keys/cache-key.ts';
import { kept } from '../memory/sharing.ts';
import {
  type CachePolicy,
  keepMs,
  lifeMs,
  policyOptions,
  type ResolvedPolicy,
  resolvePolicy,
} from '../policy.ts';
import type { EntryKind, RemoteEntry, TierClock } from '../ports/remote-tier.ts';
import { bytesOf, memoryEntry } from './hold.ts';
import { dropKey, invalidate } from './invalidate.ts';
import type { EngineParts, ResourceState } from './parts.ts';
import { assertKey } from './read-request.ts';
import { neverSent, type RemoteCall } from './remote-call.ts';
import { settledAll } from './settled-all.ts';
import { jittered } from './steps/jitter.ts';
import { epochOf } from './steps/trust.ts';

/** Writes that are under way together: of more the last would be answered too late, by a tier that works. */
const mostTogether = 1_000;

/**
 * Stores a value and ends every load of its key. With a remote tier memory is left empty: the next read fills it with
 * what won there, which of two writers at once need not be this one.
 */
export async function set(
  parts: EngineParts,
  key: CacheKey,
  value: unknown,
  policy: CachePolicy | undefined,
): Promise<TierClock> {
  parts.use();
  return await store(parts, prepared(parts, key, value, policy, 'set'));
}

/** Stores values of many keys; all of them are checked and encoded before the first is stored. */
export async function setMany(
  parts: EngineParts,
  entries: Iterable<readonly [CacheKey, unknown]>,
  policy: CachePolicy | undefined,
): Promise<TierClock> {
  parts.use();
  const writes = new Map<string, Write>();
  for (const entry of listed('setMany', entries)) {
    const [key, value] = listed('setMany', entry) as typeof entry;
    const write = prepared(parts, key, value, policy, 'setMany');
    writes.set(key.wire, write);
  }
  const all = [...writes.values()];
  if (all.length === 0) return await invalidate(parts, []);
  let clock = 0;
  for (let from = 0; from < all.length; from += mostTogether) {
    if (from > 0) parts.use();
    const group = all.slice(from, from + mostTogether);
    clock = Math.max(clock, ...(await settledAll(group.map((write) => store(parts, write)))));
  }
  return clock;
}

/** A value that can be stored. */
interface Write {
  readonly key: CacheKey;
  readonly value: unknown;
  readonly kind: EntryKind;
  readonly state: ResourceState;
  /** 0: there is nothing to keep. */
  readonly ttlMs: number;
  readonly keptMs: number;
  readonly tags: readonly string[];
  /** Absent without a remote tier. */
  readonly entry: Omit<RemoteEntry, 'freshUntil'> | undefined;
}

function prepared(
  parts: EngineParts,
  key: CacheKey,
  value: unknown,
  policy: CachePolicy | undefined,
  verb: string,
): Write {
  assertKey(parts, key);
  if (value === undefined) {
    throw new ArgumentError(`undefined is no value for "${key.wire}"; null means "does not exist"`);
  }
  const state = parts.resourceState(key.resource);
  const resolved = policy === undefined ? state.policy : policyOf(policy, state, verb);
  const kind: EntryKind = value === null ? 'negative' : 'value';
  const ttlMs = jittered(lifeMs(kind, resolved), resolved.jitter, key.wire);
  const keptMs = kind === 'value' ? keepMs(resolved) : ttlMs;
  const tags = [...key.tags, parts.everything];
  const entry = parts.remote && entryOf(parts, key, value, kind, tags);
  const held = parts.remote === undefined ? keepable(parts, key, value) : value;
  return { key, value: held, kind, state, ttlMs, keptMs, tags, entry };
}

function policyOf(policy: CachePolicy, state: ResourceState, verb: string): ResolvedPolicy {
  return asArgument(() => {
    assertKnownOptions(verb, policy, policyOptions);
    return resolvePolicy(policy, state.policy, verb);
  });
}

async function store(parts: EngineParts, write: Write): Promise<TierClock> {
  const { key, kind, state, ttlMs, tags } = write;
  // Switched off, what others have must not outlive a write that they do not see.
  if (ttlMs === 0 || !parts.enabled) return await invalidate(parts, [key]);
  const { remote } = parts;
  if (remote !== undefined && write.entry !== undefined) {
    return await put(parts, remote, write.entry, key.wire, ttlMs, write.keptMs);
  }
  dropKey(parts, key.wire);
  const clock = parts.time.tick();
  const place = { wire: key.wire, epoch: epochOf(parts.memory.epoch), asOf: parts.tags.changes };
  const freshUntil = parts.clock.now() + ttlMs;
  const { value } = write;
  const bytes = bytesOf(parts, key.wire, value);
  const holding = { kind, value, clock, version: '', loadMs: 0, bytes, freshUntil, tags, degradedUntil: 0 };
  parts.memory.set(memoryEntry(parts, place, state, holding));
  return clock;
}

async function put(
  parts: EngineParts,
  remote: RemoteCall,
  entry: Omit<RemoteEntry, 'freshUntil'>,
  wire: string,
  ttlMs: number,
  keptMs: number,
): Promise<TierClock> {
  dropKey(parts, wire);
  try {
    // Without the tier's clock nobody could say until when the value is fresh.
    if (!parts.time.known) await remote.write('time', (tier) => tier.time());
    const freshUntil = parts.time.toTier(parts.clock.now() + ttlMs);
    return await remote.write(
      'put',
      (tier) => tier.put(wire, { ...entry, clock: parts.time.estimate(), freshUntil }, keptMs),
      wire,
    );
  } catch (error) {
    takeBack(parts, remote, wire, error);
    throw error;
  } finally {
    dropKey(parts, wire);
  }
}

/**
 * Whoever asked has been told that the write failed, and it may still arrive, over what somebody else writes meanwhile.
 * What is sent after it arrives after it.
 */
function takeBack(parts: EngineParts, remote: RemoteCall, wire: string, error: unknown): void {
  if (neverSent(error)) return;
  parts.background.run(remote.attempt('delete', (tier) => tier.delete([wire]), wire));
}

function keepable(parts: EngineParts, key: CacheKey, value: unknown): unknown {
  try {
    return kept(value, parts.sharing);
  } catch (error) {
    throw new ArgumentError(`The value for "${key.wire}" cannot be copied: ${String(error)}`);
  }
}

function entryOf(
  parts: EngineParts,
  key: CacheKey,
  value: unknown,
  kind: EntryKind,
  tags: readonly string[],
): Omit<RemoteEntry, 'freshUntil'> {
  const { codec } = parts;
  try {
    const payload = encoded(codec, value);
    return { kind, clock: 0, version: parts.tokens.next(), loadMs: 0, tags, codec: codec.id, payload };
  } catch (error) {
    throw new ArgumentError(`The value for "${key.wire}" cannot be encoded: ${String(error)}`);
  }
}
