import { deepFreeze } from '../memory/deep-freeze.ts';
import { keepMs } from '../policy.ts';
import type { EntryKind, TierClock } from '../ports/remote-tier.ts';
import { memoryEntry, type OldValue, servedOld } from './hold.ts';
import type { EngineParts, Outcome } from './parts.ts';
import type { ReadRequest } from './read-request.ts';
import { commit } from './steps/commit.ts';
import { freshness } from './steps/freshness.ts';
import { runLoader } from './steps/run-loader.ts';
import type { Flight } from './steps/single-flight.ts';

/** How long a lease lasts; a load keeps it by asking again, so a dead process is taken over after this. */
export const leaseMs = 5_000;
/** How long a value lives that was loaded while the remote tier did not answer. */
const degradedMs = 1_000;
/** How long a stale entry is left alone after a refresh that failed. */
const retryAfterMs = 1_000;

/** What a load runs under. Without a token there is no lease: memory is all there is, or the tier did not answer. */
export interface Licence {
  readonly clock: TierClock;
  readonly token: string | undefined;
  /** The remote tier did not answer. */
  readonly degraded: boolean;
}

/** Runs the loader and stores what it gives; serves the old value when the loader fails or is too slow. */
export async function load(
  parts: EngineParts,
  flight: Flight<Outcome>,
  request: ReadRequest,
  licence: Licence,
  old: OldValue | undefined,
): Promise<Outcome> {
  flight.clock = licence.clock;
  flight.token = licence.token;
  const loading = loadAndStore(parts, flight, request, licence, old);
  const { softTimeoutMs, hardTimeoutMs } = request.policy;
  if (old === undefined || request.renews || softTimeoutMs >= hardTimeoutMs) return await loading;
  flight.tail = loading;
  return await new Promise((resolve, reject) => {
    const timer = parts.clock.setTimeout(() => {
      if (freshness(old, parts.clock.now(), request.policy) !== 'absent') resolve(servedOld(old));
    }, softTimeoutMs);
    loading.then(
      (outcome) => {
        parts.clock.clearTimeout(timer);
        resolve(outcome);
      },
      (error) => {
        parts.clock.clearTimeout(timer);
        reject(error);
      },
    );
  });
}

/** Gives the lease of a flight back, so that others need not wait for its end. */
export function release(parts: EngineParts, flight: Flight<Outcome>): void {
  const { token } = flight;
  if (token === undefined || parts.remote === undefined) return;
  flight.token = undefined;
  parts.background.run(parts.remote.attempt('release', (tier) => tier.release(flight.wire, token)));
}

async function loadAndStore(
  parts: EngineParts,
  flight: Flight<Outcome>,
  request: ReadRequest,
  licence: Licence,
  old: OldValue | undefined,
): Promise<Outcome> {
  const { key, loader, policy, state } = request;
  const startedAt = parts.clock.now();
  state.counters.loads++;
  const keeping = keepLease(parts, flight, licence);
  let value: unknown;
  try {
    const { controller } = flight;
    value = await runLoader(loader, old?.value, key.wire, controller, policy.hardTimeoutMs, parts.clock);
  } catch (error) {
    release(parts, flight);
    return failed(parts, request, error, old);
  } finally {
    keeping.stop();
  }
  const loadMs = parts.clock.now() - startedAt;
  state.counters.loadMs += loadMs;
  if (parts.events.heard('load')) {
    parts.events.emit('load', { key: key.wire, resource: key.resource.name, durationMs: loadMs });
  }
  if (parts.memory.maxEntries > 0) deepFreeze(value);
  await store(parts, flight, request, licence, value, loadMs);
  return { value, state: 'miss', from: 'loader', clock: licence.clock };
}

function failed(
  parts: EngineParts,
  request: ReadRequest,
  error: unknown,
  old: OldValue | undefined,
): Outcome {
  const { key, policy, state } = request;
  const now = parts.clock.now();
  state.counters.loadErrors++;
  const instead =
    !request.renews && old !== undefined && freshness(old, now, policy) !== 'absent' ? old : undefined;
  parts.events.emit('loadError', {
    key: key.wire,
    resource: key.resource.name,
    error,
    servedStale: instead !== undefined,
  });
  const entry = parts.memory.get(key.wire);
  if (entry !== undefined) entry.retryAt = now + retryAfterMs;
  if (instead === undefined) throw error;
  return servedOld(instead);
}

/** Puts a loaded value where the next read finds it, unless something overtook the load. */
async function store(
  parts: EngineParts,
  flight: Flight<Outcome>,
  request: ReadRequest,
  licence: Licence,
  value: unknown,
  loadMs: number,
): Promise<void> {
  const { key, policy, state } = request;
  const kind: EntryKind = value === null ? 'negative' : 'value';
  const ttlMs = kind === 'value' ? policy.ttlMs : Math.min(policy.negativeTtlMs, policy.ttlMs);
  if (flight.overtaken || ttlMs === 0) {
    if (flight.overtaken) refused(parts, request);
    release(parts, flight);
    return;
  }
  const tags = flight.tags.map((record) => record.wire);
  const { clock, token, degraded } = licence;
  const now = parts.clock.now();
  if (parts.remote !== undefined && token !== undefined) {
    const committed = await commit(parts.remote, parts.codec, {
      key: key.wire,
      token,
      kind,
      value,
      clock,
      freshUntil: parts.time.toTier(now + ttlMs),
      loadMs,
      tags,
      ttlMs: kind === 'value' ? keepMs(policy) : ttlMs,
    });
    if (committed.state === 'unstorable') {
      const { error } = committed;
      parts.events.emit('unstorable', { key: key.wire, resource: key.resource.name, error });
      release(parts, flight);
      return;
    }
    flight.token = undefined;
    if (committed.state === 'refused') {
      flight.overtaken = true;
      refused(parts, request);
      return;
    }
    // Whether it would have been refused is not known: nobody else may see the value.
    if (committed.state === 'unreached') return;
    // The tier knows every tag now, and none was invalidated after the load began.
    for (const record of flight.tags) {
      if (record.epoch !== flight.epoch) parts.tags.learned(record, clock, flight.epoch, flight.asOf);
    }
  }
  if (flight.overtaken || flight.touched) return;
  const degradedUntil = degraded ? now + Math.min(degradedMs, ttlMs) : 0;
  const freshUntil = degraded ? degradedUntil : now + ttlMs;
  const holding = { kind, value, clock, version: token ?? '', freshUntil, tags, degradedUntil };
  parts.memory.set(memoryEntry(parts, flight, state, holding));
}

function refused(parts: EngineParts, request: ReadRequest): void {
  request.state.counters.refusedCommits++;
  if (!parts.events.heard('commitRefused')) return;
  parts.events.emit('commitRefused', { key: request.key.wire, resource: request.key.resource.name });
}

/** Prolongs the lease for as long as the load runs. A lease that is lost stays lost: the commit is refused. */
function keepLease(parts: EngineParts, flight: Flight<Outcome>, licence: Licence): { stop(): void } {
  const { remote } = parts;
  const { token } = licence;
  if (remote === undefined || token === undefined) return { stop: () => {} };
  const renew = () => {
    timer = parts.clock.setTimeout(renew, leaseMs / 3);
    parts.background.run(remote.read('renew', (tier) => tier.renew(flight.wire, token, leaseMs)));
  };
  let timer = parts.clock.setTimeout(renew, leaseMs / 3);
  return { stop: () => parts.clock.clearTimeout(timer) };
}
