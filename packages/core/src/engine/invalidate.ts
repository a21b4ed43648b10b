import { ArgumentError } from '../errors.ts';
import type { CacheKey, CacheTag } from '../keys/cache-key.ts';
import { assertTag, describe } from '../keys/wire-key.ts';
import type { RemoteTier, TierClock } from '../ports/remote-tier.ts';
import { release } from './load/lease.ts';
import type { EngineParts, Outcome } from './parts.ts';
import { assertKey } from './read-request.ts';
import type { Undone } from './repairs.ts';
import type { Flight } from './steps/single-flight.ts';

/**
 * Drops entries everywhere: in memory, in the remote tier, and what is being loaded. Memory is dropped twice: at once,
 * so that nobody here is answered with what the caller knows to be old, and after the remote tier, because a read may
 * have brought it back in between.
 */
export async function invalidate(parts: EngineParts, keys: readonly CacheKey[]): Promise<TierClock> {
  parts.use();
  for (const key of keys) assertKey(parts, key);
  const wires = [...new Set(keys.map((key) => key.wire))];
  const clock = await around(
    parts,
    () => {
      for (const wire of wires) dropKey(parts, wire);
    },
    () =>
      parts.remote?.write('delete', (tier) => (wires.length === 0 ? tier.time() : tier.delete(wires)), wires),
    { keys: wires },
  );
  if (parts.events.heard('invalidate')) parts.events.emit('invalidate', { keys: wires, clock });
  return clock;
}

/** Invalidates every entry that carries one of the tags, whatever their number, and what is being loaded. */
export async function invalidateTags(parts: EngineParts, tags: readonly CacheTag[]): Promise<TierClock> {
  parts.use();
  for (const tag of tags) assertTag(parts.namespace, tag);
  const wires = [...new Set(tags.map((tag) => tag.wire))];
  const clock = await bump(parts, wires);
  if (parts.events.heard('invalidate')) parts.events.emit('invalidate', { tags: wires, clock });
  return clock;
}

/** Invalidates everything of the namespace: one tag that every entry carries. */
export async function clear(parts: EngineParts): Promise<TierClock> {
  parts.use();
  parts.memory.clear();
  const clock = await bump(parts, [parts.everything]);
  parts.memory.clear();
  if (parts.events.heard('invalidate')) parts.events.emit('invalidate', { all: true, clock });
  return clock;
}

/**
 * Drops every entry whose key begins with the prefix, here and in the remote tier, and what is being loaded under such
 * a key.
 */
export async function invalidatePrefix(parts: EngineParts, prefix: string): Promise<TierClock> {
  parts.use();
  if (typeof prefix !== 'string' || !prefix.startsWith(`${parts.namespace}:c:`)) {
    throw new ArgumentError(
      `A prefix of the namespace begins with "${parts.namespace}:c:"; got ${describe(prefix)}`,
    );
  }
  const clock = await around(
    parts,
    () => dropPrefix(parts, prefix),
    () => parts.remote?.write('delete', (tier) => deletePrefix(tier, prefix)),
    { prefix },
  );
  if (parts.events.heard('invalidate')) parts.events.emit('invalidate', { prefix, clock });
  return clock;
}

/** Nothing under such a key that is here or on its way may be served or stored any more. */
export function dropPrefix(parts: EngineParts, prefix: string): void {
  for (const wire of parts.memory.wires()) if (wire.startsWith(prefix)) parts.memory.delete(wire);
  for (const flight of parts.flights.live()) if (flight.wire.startsWith(prefix)) overtake(parts, flight);
  parts.readings.overtakenPrefix(prefix);
  parts.failures.forgetPrefix(prefix);
  parts.tags.changedPrefix(prefix);
}

/** Deletes what a scan finds, batch by batch, and counts it. */
export async function deletePrefix(
  tier: RemoteTier,
  prefix: string,
  counted: (keys: number) => void = () => {},
): Promise<TierClock> {
  for await (const keys of tier.scan(prefix)) {
    if (keys.length === 0) continue;
    await tier.delete(keys);
    counted(keys.length);
  }
  // Also where nothing was found: what this call overtakes must be older than its clock.
  return await tier.time();
}

/** Nothing of this key that is here or on its way may be served or stored any more. */
export function dropKey(parts: EngineParts, wire: string): void {
  parts.memory.delete(wire);
  parts.failures.forget(wire);
  for (const flight of parts.flights.liveOf(wire)) overtake(parts, flight);
  parts.readings.changed(wire, 'overtaken');
}

async function bump(parts: EngineParts, wires: readonly string[]): Promise<TierClock> {
  const clock = await around(
    parts,
    (carriedOut) => {
      // Which of them carry a tag is not known, and to ask a loader once more is never wrong.
      parts.failures.forgetAll();
      for (const wire of wires) distrustTag(parts, wire, carriedOut);
    },
    () =>
      parts.remote?.write(
        'bumpTags',
        (tier) => (wires.length === 0 ? tier.time() : tier.bumpTags(wires)),
        wires,
      ),
    { tags: wires },
  );
  if (parts.remote === undefined) for (const wire of wires) parts.tags.bumped(wire, clock);
  return clock;
}

async function around(
  parts: EngineParts,
  drop: (carriedOut: boolean) => void,
  call: () => Promise<TierClock> | undefined,
  undone: Undone,
): Promise<TierClock> {
  drop(false);
  const answer = call();
  if (answer === undefined) return parts.time.tick();
  try {
    return await answer;
  } catch (error) {
    if (parts.repairs === undefined) throw error;
    parts.repairs.add(undone);
    return parts.time.estimate();
  } finally {
    drop(true);
  }
}

function distrustTag(parts: EngineParts, wire: string, carriedOut: boolean): void {
  const record = parts.remote === undefined ? parts.tags.get(wire) : parts.tags.changed(wire);
  if (record !== undefined) parts.readings.changed(wire, 'overtaken');
  for (const flight of parts.flights.live()) {
    if (record === undefined || !flight.tags.includes(record)) {
      flight.doubted = true;
      continue;
    }
    overtake(parts, flight);
    // The load is refused whatever it gives; without its lease the next one can begin at once. Not sooner, or the next
    // one would begin before the invalidation too.
    if (carriedOut) release(parts, flight);
  }
}

function overtake(parts: EngineParts, flight: Flight<Outcome>): void {
  flight.overtaken = true;
  parts.flights.detach(flight);
}
