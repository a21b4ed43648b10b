import { newToken } from '../entry.ts';
import { ArgumentError } from '../errors.ts';
import type { CacheKey } from '../key-space.ts';
import { deepFreeze } from '../memory/deep-freeze.ts';
import { type CachePolicy, keepMs, resolvePolicy } from '../policy.ts';
import type { EntryKind, RemoteEntry, TierClock } from '../ports/remote-tier.ts';
import { memoryEntry } from './hold.ts';
import { dropKey, invalidate } from './invalidate.ts';
import type { EngineParts } from './parts.ts';
import { asArgument, assertKey } from './read-request.ts';
import type { RemoteCall } from './remote-call.ts';
import { epochOf } from './steps/trust.ts';

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
  assertKey(parts, key);
  if (value === undefined)
    throw new ArgumentError(`undefined is no value for "${key.wire}"; null means "does not exist"`);
  const state = parts.resourceState(key.resource);
  const resolved =
    policy === undefined ? state.policy : asArgument(() => resolvePolicy(policy, state.policy, 'set'));
  const kind: EntryKind = value === null ? 'negative' : 'value';
  const ttlMs = kind === 'value' ? resolved.ttlMs : Math.min(resolved.negativeTtlMs, resolved.ttlMs);
  if (ttlMs === 0) return await invalidate(parts, [key]);
  const tags = [...key.tags, parts.everything];
  const { remote } = parts;
  if (remote !== undefined) {
    const entry = encoded(parts, key, value, kind, tags);
    return await put(parts, remote, entry, key.wire, ttlMs, kind === 'value' ? keepMs(resolved) : ttlMs);
  }
  dropKey(parts, key.wire);
  const clock = parts.time.tick();
  const place = { wire: key.wire, epoch: epochOf(parts.memory.epoch), asOf: parts.tags.changes };
  const freshUntil = parts.clock.now() + ttlMs;
  const holding = { kind, value: deepFreeze(value), clock, version: '', freshUntil, tags, degradedUntil: 0 };
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
    return await remote.write('put', (tier) => tier.put(wire, { ...entry, freshUntil }, keptMs));
  } finally {
    dropKey(parts, wire);
  }
}

function encoded(
  parts: EngineParts,
  key: CacheKey,
  value: unknown,
  kind: EntryKind,
  tags: readonly string[],
): Omit<RemoteEntry, 'freshUntil'> {
  const { codec } = parts;
  try {
    const payload = codec.encode(value);
    return { kind, clock: 0, version: newToken(parts.random), loadMs: 0, tags, codec: codec.id, payload };
  } catch (error) {
    throw new ArgumentError(`The value for "${key.wire}" cannot be encoded: ${String(error)}`);
  }
}
