import { newToken } from '../entry.ts';
import { LoadTimeoutError } from '../errors.ts';
import type { CacheKey } from '../key-space.ts';
import type { Loader } from '../loader.ts';
import { handedOut } from '../memory/sharing.ts';
import type { MemoryEntry } from '../memory/tier.ts';
import type { ReadOptions } from '../read-options.ts';
import { holdFound, type OldValue, oldInMemory, servedOld } from './hold.ts';
import { leaseMs, load } from './load.ts';
import type { EngineParts, Outcome, ResourceState } from './parts.ts';
import { type ReadRequest, readRequest } from './read-request.ts';
import type { RemoteCall } from './remote-call.ts';
import { freshness } from './steps/freshness.ts';
import { Loading } from './steps/loading.ts';
import { lookup } from './steps/lookup.ts';
import { runLoader } from './steps/run-loader.ts';
import { Flight } from './steps/single-flight.ts';
import { epochOf, trusted } from './steps/trust.ts';

/** Delay of the first poll of those who wait for another process, and of the last. */
const firstPollMs = 20;
const longestPollMs = 200;
/** How often a caller waits for flights of others before it starts its own, when it asks for a minimum clock. */
const mostJoins = 2;

/** The value of a key. Not async: a hit in memory returns the promise that the entry keeps. */
export function getOrLoad(
  parts: EngineParts,
  key: CacheKey,
  loader: Loader<unknown>,
  options: ReadOptions | undefined,
): Promise<unknown> {
  if (options === undefined) {
    const entry = parts.memory.get(key?.wire);
    if (entry !== undefined) {
      const now = parts.coarse.now();
      if (now < entry.quietUntil && trusted(entry, parts.memory.epoch, now)) {
        entry.counters.memoryHits++;
        if (parts.sharing === 'clone') return Promise.resolve(handedOut(entry.value, 'clone'));
        return entry.promise;
      }
    }
  }
  return read(parts, key, loader, options).then(outcomeValue);
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
    try {
      const outcome = await flight.join(request.signal, (reason) => abandon(parts, flight, reason));
      // The flight of somebody else may have begun too early for this caller; one's own never has.
      if (running !== undefined && outcome.clock < request.minClock) continue;
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
  const now = parts.clock.now();
  if (entry === undefined || entry.clock < request.minClock) return undefined;
  if (!trusted(entry, parts.memory.epoch, now)) return undefined;
  const life = freshness(entry, now, request.policy);
  if (life === 'fresh') {
    if (now >= entry.quietUntil) renewAhead(parts, request, entry);
    return { value: entry.value, state: 'hit', from: 'memory', clock: entry.clock };
  }
  if (life !== 'stale') return undefined;
  refreshBehind(parts, request, entry);
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

/** Starts the one refresh of this process behind an entry that is served stale. */
function refreshBehind(parts: EngineParts, request: ReadRequest, entry: MemoryEntry): void {
  if (mayBegin(parts, entry.wire)) launch(parts, { ...request, minClock: 0 }, true);
}

/** Starts the one load of this process that begins before a fresh entry ends. */
function renewAhead(parts: EngineParts, request: ReadRequest, entry: MemoryEntry): void {
  if (!mayBegin(parts, entry.wire)) return;
  launch(parts, { ...request, minClock: 0, renews: true, replaces: entry.version }, true);
}

function mayBegin({ flights, failures }: EngineParts, wire: string): boolean {
  return flights.refreshOf(wire) === undefined && flights.get(wire) === undefined && !failures.paused(wire);
}

/** Starts a flight for the key. `behind`: an entry is served meanwhile, and nobody has to wait. */
function launch(parts: EngineParts, request: ReadRequest, behind: boolean): Flight<Outcome> {
  const { wire, tags } = request.key;
  const flight = new Flight<Outcome>(wire, parts.tags.retain([...tags, parts.everything]), behind);
  parts.flights.add(flight);
  const land = () => {
    parts.flights.landed(flight);
    parts.tags.release(flight.tags);
    parts.tags.release(flight.others);
    // Those of this process who could not join it hear of its end even while nothing else is heard.
    parts.waits.wake(wire);
  };
  const tail = () => (flight.tail === undefined ? land() : flight.tail.then(land, land));
  // A turn later, so that the flight can be joined before the loader runs.
  flight.promise = Promise.resolve().then(() => fly(parts, flight, request));
  // Also keeps a failure that nobody waits for from being unhandled.
  parts.background.run(flight.promise.then(tail, tail));
  return flight;
}

/** Nobody waits any more. */
function abandon(parts: EngineParts, flight: Flight<Outcome>, reason: unknown): void {
  parts.flights.detach(flight);
  flight.controller.abort(reason);
}

/** The way to a value that memory does not have. Without the remote tier, or while it does not answer: the loader. */
async function fly(parts: EngineParts, flight: Flight<Outcome>, request: ReadRequest): Promise<Outcome> {
  const { remote } = parts;
  if (remote !== undefined) {
    try {
      return await throughRemote(parts, flight, request, remote);
    } catch (error) {
      if (!(error instanceof Unreached)) throw error;
    }
  }
  const old = oldInMemory(parts, request);
  const spared = sparedLoad(parts, request, old);
  if (spared !== undefined) return spared;
  const other = remote === undefined ? undefined : degradedLoad(parts, flight, request);
  if (other !== undefined) {
    return await other.join(flight.controller.signal, (reason) => abandon(parts, other, reason));
  }
  begin(parts, flight, 'loading');
  flight.degraded = remote !== undefined;
  const clock = remote === undefined ? parts.time.tick() : parts.time.estimate();
  const licence = { clock, token: undefined, degraded: remote !== undefined };
  return await load(parts, flight, request, licence, old);
}

/** The load of another flight that did not reach the remote tier either, so that one loader runs for all of them. */
function degradedLoad(
  { flights }: EngineParts,
  flight: Flight<Outcome>,
  { minClock }: ReadRequest,
): Flight<Outcome> | undefined {
  for (const other of flights.liveOf(flight.wire)) {
    const usable = other.degraded && !other.overtaken && !other.controller.signal.aborted;
    if (usable && other.clock >= minClock) return other;
  }
  return undefined;
}

/** What is answered without a load because the last one failed a moment ago. @throws The error of that load. */
function sparedLoad(
  parts: EngineParts,
  request: ReadRequest,
  old: OldValue | undefined,
): Outcome | undefined {
  const { key, policy, renews } = request;
  if (renews) return undefined;
  const life = old === undefined ? 'absent' : freshness(old, parts.clock.now(), policy);
  if (old !== undefined && life !== 'absent') {
    return parts.failures.paused(key.wire) ? servedOld(old) : undefined;
  }
  const failure = policy.errorTtlMs === 0 ? undefined : parts.failures.kept(key.wire);
  if (failure !== undefined) throw failure.error;
  return undefined;
}

/** The way while the cache is switched off: the loader, for this caller alone, and nothing is kept. */
async function straight(parts: EngineParts, request: ReadRequest): Promise<Outcome> {
  const { key, loader, policy, signal, state } = request;
  signal?.throwIfAborted();
  state.counters.misses++;
  state.counters.loads++;
  const clock = parts.remote === undefined ? parts.time.tick() : parts.time.estimate();
  const controller = new AbortController();
  const leave = () => controller.abort(signal?.reason);
  signal?.addEventListener('abort', leave, { once: true });
  const context = new Loading(parts.namespace, key.wire, controller.signal, undefined, policy);
  const loading = runLoader(loader, context, key.wire, controller, policy.hardTimeoutMs, parts.clock);
  parts.background.run(loading);
  try {
    return { value: await loading, state: 'miss', from: 'loader', clock };
  } catch (error) {
    state.counters.loadErrors++;
    throw error;
  } finally {
    signal?.removeEventListener('abort', leave);
  }
}

/** The remote tier did not answer: what comes next does without it. */
class Unreached extends Error {}

/** Look, wait for the process that loads, or become it. */
async function throughRemote(
  parts: EngineParts,
  flight: Flight<Outcome>,
  read: ReadRequest,
  remote: RemoteCall,
): Promise<Outcome> {
  const { key, policy } = read;
  const { signal } = flight.controller;
  const startedAt = parts.clock.now();
  // What a renewal replaces; any other version is what it asks for, whoever wrote it.
  let replaced = read.replaces;
  for (let pollMs = firstPollMs; ; pollMs = Math.min(pollMs * 2, longestPollMs)) {
    // The place in the queue is taken before the read, or a commit between read and wait would wake nobody.
    const wait = parts.waits.enter(key.wire);
    try {
      begin(parts, flight, 'reading');
      const found = await reached(
        lookup(remote, parts.time, parts.clock, key.wire, flight.tags, parts.tags, flight.epoch),
      );
      parts.tags.release(flight.others);
      flight.others = found.others;
      signal.throwIfAborted();
      const entry = holdFound(parts, flight, read, found);
      const life = entry === undefined ? 'absent' : freshness(entry, parts.clock.now(), policy);
      if (read.renews) {
        const version = found.read.state === 'entry' ? found.read.entry.version : '';
        replaced ??= version;
        if (entry !== undefined && life === 'fresh' && version !== replaced) {
          return { value: entry.value, state: 'hit', from: 'remote', clock: entry.clock };
        }
      } else if (entry !== undefined && life === 'fresh') {
        if (parts.clock.now() >= entry.quietUntil) {
          parts.flights.detach(flight);
          renewAhead(parts, read, entry);
        }
        return { value: entry.value, state: 'hit', from: 'remote', clock: entry.clock };
      }
      if (entry !== undefined && life === 'stale' && !flight.behind && !read.renews) {
        parts.flights.detach(flight);
        refreshBehind(parts, read, entry);
        return servedOld({ ...entry, from: 'remote' });
      }
      const old: OldValue | undefined =
        entry === undefined || life === 'absent' ? undefined : { ...entry, from: 'remote' };
      const spared = sparedLoad(parts, read, old);
      if (spared !== undefined) return spared;
      if (found.read.state !== 'leased') {
        const token = newToken(parts.random);
        const request = {
          key: key.wire,
          token,
          leaseMs,
          tags: flight.tags.map((record) => record.wire),
          ...(found.read.state === 'entry' ? { replaces: found.read.entry.version } : {}),
        };
        begin(parts, flight, 'loading');
        const sentAt = parts.clock.now();
        const answer = await reached(remote.read('acquire', (tier) => tier.acquire(request), key.wire));
        if (answer.state === 'acquired') {
          parts.time.observe(answer.clock, sentAt);
          const licence = { clock: answer.clock, token, degraded: false };
          return await load(parts, flight, read, licence, old);
        }
        // Somebody stored it between the read and now: look again at once, the first time.
        if (answer.state === 'entry' && pollMs === firstPollMs) continue;
      }
      read.elsewhere?.();
      const waitedMs = parts.clock.now() - startedAt;
      const instead = read.renews ? undefined : old;
      if (instead !== undefined && waitedMs >= policy.softTimeoutMs) return servedOld(instead);
      if (waitedMs >= policy.hardTimeoutMs) {
        if (instead !== undefined) return servedOld(instead);
        throw new LoadTimeoutError(key.wire, policy.hardTimeoutMs);
      }
      const limitMs =
        instead === undefined ? policy.hardTimeoutMs : Math.min(policy.softTimeoutMs, policy.hardTimeoutMs);
      if (instead === undefined) flight.phase = 'waiting';
      await wait.until(Math.min(pollMs, limitMs - waitedMs), signal);
      signal.throwIfAborted();
    } finally {
      wait.leave();
    }
  }
}

async function reached<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    throw new Unreached('', { cause });
  }
}

/** Whatever happened before is no concern of the read or load that begins now. */
export function begin(parts: EngineParts, flight: Flight<Outcome>, phase: 'reading' | 'loading'): void {
  flight.phase = phase;
  flight.touched = false;
  flight.overtaken = false;
  flight.epoch = epochOf(parts.memory.epoch);
  flight.asOf = parts.tags.changes;
}

/** The outcome as one of those who wait for it is to have it. */
export function handed(parts: EngineParts, outcome: Outcome): Outcome {
  return parts.sharing === 'clone' ? { ...outcome, value: handedOut(outcome.value, 'clone') } : outcome;
}

/** Counts one answered request. */
export function countOutcome(
  counters: ResourceState['counters'],
  outcome: Pick<Outcome, 'state' | 'from'>,
): void {
  if (outcome.state === 'miss') {
    counters.misses++;
    return;
  }
  if (outcome.from === 'remote') counters.remoteHits++;
  else counters.memoryHits++;
  if (outcome.state === 'stale') counters.staleServed++;
}

function outcomeValue(outcome: Outcome): unknown {
  return outcome.value;
}
