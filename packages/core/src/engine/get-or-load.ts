import type { Loader } from '../cache/loader.ts';
import type { ReadOptions } from '../cache/read-options.ts';
import type { CacheKey } from '../keys/cache-key.ts';
import { abandon } from './flight/course.ts';
import { launch, launchBehind } from './flight/first-look.ts';
import { servedOld } from './hold.ts';
import { countOutcome, handed } from './outcome.ts';
import type { EngineParts, Outcome } from './parts.ts';
import { type ReadRequest, readRequest } from './read-request.ts';
import { freshness } from './steps/freshness.ts';
import type { Flight } from './steps/single-flight.ts';
import { surely, trusted } from './steps/trust.ts';
import { straight } from './straight.ts';

/** How often a caller waits for flights of others, which may have begun too early for it, before it starts its own. */
const mostJoins = 2;

/** The value of a key. Not async: a hit in memory returns the promise that the entry keeps. */
export function getOrLoad(
  parts: EngineParts,
  key: CacheKey,
  loader: Loader<unknown>,
  options: ReadOptions | undefined,
): Promise<unknown> {
  if (options === undefined && parts.sharing !== 'clone') {
    const entry = parts.memory.get(key?.wire);
    if (entry !== undefined) {
      const now = parts.coarse.now();
      if (now < entry.quietUntil && surely(entry, parts.memory.epoch, now, parts.tags.stamp)) {
        entry.counters.memoryHits++;
        return entry.promise;
      }
    }
    if (parts.enabled) return plainValue(parts, key, loader);
  }
  return read(parts, key, loader, options).then(outcomeValue);
}

/** The value alone, for a caller who cannot leave: one promise for all of them. */
function plainValue(parts: EngineParts, key: CacheKey, loader: Loader<unknown>): Promise<unknown> {
  try {
    parts.use();
    const request = readRequest(parts, key, loader, undefined);
    const held = fromMemory(parts, request);
    if (held !== undefined) {
      countOutcome(request.state.counters, held);
      return Promise.resolve(held.value);
    }
    const running = joinable(parts, key.wire, false);
    // It has answered those who waited, and goes on behind them; or what it gives may be old.
    if (running?.settled || running?.doubted) return answer(parts, request).then(outcomeValue);
    return (running ?? launch(parts, request, false)).value();
  } catch (error) {
    return Promise.reject(error);
  }
}

/** The value of a key and where it came from: memory, then the remote tier, then the loader. */
export async function read(
  parts: EngineParts,
  key: CacheKey,
  loader: Loader<unknown>,
  options: ReadOptions | undefined,
): Promise<Outcome> {
  parts.use();
  return await answer(parts, readRequest(parts, key, loader, options));
}

/** Answers a checked request: joins who loads it already, or starts. */
export async function answer(parts: EngineParts, request: ReadRequest): Promise<Outcome> {
  const { wire } = request.key;
  const { counters } = request.state;
  if (!parts.enabled) return await straight(parts, request);
  for (let joins = 0; ; joins++) {
    request.signal?.throwIfAborted();
    const held = request.renews ? undefined : fromMemory(parts, request);
    if (held !== undefined) {
      countOutcome(counters, held);
      return handed(parts, held);
    }
    const running = joins < mostJoins ? joinable(parts, wire, request.renews === true) : undefined;
    if (running !== undefined) request.elsewhere?.();
    const flight = running ?? launch(parts, request, request.renews === true);
    const doubted = running?.doubted;
    try {
      const outcome = await flight.join(request.signal, (reason) => abandon(parts, flight, reason));
      // The flight of somebody else may have begun too early for this caller; one's own never has.
      if (running !== undefined && (outcome.clock < request.minClock || (doubted && flight.overtaken)))
        continue;
      countOutcome(counters, outcome);
      return handed(parts, outcome);
    } catch (error) {
      if (running !== undefined && flight.clock < request.minClock) continue;
      counters.misses++;
      throw error;
    }
  }
}

function fromMemory(parts: EngineParts, request: ReadRequest): Outcome | undefined {
  const entry = parts.memory.get(request.key.wire);
  if (entry === undefined || entry.clock < request.minClock) return undefined;
  const now = parts.clock.now();
  if (!trusted(entry, parts.memory.epoch, now)) return undefined;
  const life = freshness(entry, now, request.policy);
  if (life === 'fresh') {
    if (now >= entry.quietUntil) launchBehind(parts, request, entry);
    const { value, clock, loadMs, freshUntil } = entry;
    return { value, state: 'hit', from: 'memory', clock, loadMs, freshUntil };
  }
  if (life !== 'stale') return undefined;
  launchBehind(parts, request);
  return servedOld({ ...entry, from: 'memory' });
}

/**
 * What a caller may wait for. A refresh behind an entry only where nothing but memory could have the old value, or
 * where the old value is not wanted.
 */
function joinable(parts: EngineParts, wire: string, renews: boolean): Flight<Outcome> | undefined {
  const running =
    parts.flights.get(wire) ??
    (renews || parts.remote === undefined ? parts.flights.refreshOf(wire) : undefined);
  if (running === undefined || (renews && running.phase !== 'loading')) return undefined;
  return timely(parts, running) ? running : undefined;
}

/**
 * Whether the flight has nothing older than what is acknowledged by now: it has yet to read, or whatever happened since
 * it began would have been heard here.
 */
function timely({ memory }: EngineParts, { phase, epoch }: Flight<Outcome>): boolean {
  return phase === 'starting' || phase === 'waiting' || epoch === memory.epoch;
}

function outcomeValue(outcome: Outcome): unknown {
  return outcome.value;
}
