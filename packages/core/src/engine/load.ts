import { isCacheKitError, LoadTimeoutError } from '../errors.ts';
import { deepFreeze } from '../memory/deep-freeze.ts';
import { handedOut, kept } from '../memory/sharing.ts';
import { countLoad } from '../metrics.ts';
import { keepMs, type ResolvedPolicy } from '../policy.ts';
import type { Clock } from '../ports/clock.ts';
import type { EntryKind, TierClock } from '../ports/remote-tier.ts';
import { bytesOf, memoryEntry, type OldValue, servedOld } from './hold.ts';
import type { EngineParts, Outcome } from './parts.ts';
import type { ReadRequest } from './read-request.ts';
import type { RemoteCall } from './remote-call.ts';
import type { Background } from './steps/background.ts';
import { commit } from './steps/commit.ts';
import { freshness } from './steps/freshness.ts';
import { jittered } from './steps/jitter.ts';
import { type Lease, Leases } from './steps/leases.ts';
import { Loading } from './steps/loading.ts';
import { aheadAt } from './steps/refresh-ahead.ts';
import { runLoader } from './steps/run-loader.ts';
import type { Flight } from './steps/single-flight.ts';

/** How long a lease lasts; a load keeps it by asking again, so a dead process is taken over after this. */
export const leaseMs = 5_000;
/** How long a value lives that was loaded while the remote tier did not answer. */
const degradedMs = 1_000;

/** What a load runs under. Without a token there is no lease: memory is all there is, or the tier did not answer. */
export interface Licence {
  readonly clock: TierClock;
  readonly token: string | undefined;
  /** The remote tier did not answer. */
  readonly degraded: boolean;
}

/** Runs the loader and stores what it gives; serves the old value when the loader fails or is too slow. */
export function load(
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
  if (old === undefined || request.renews || softTimeoutMs >= hardTimeoutMs) return loading;
  flight.tail = loading;
  return new Promise((resolve, reject) => {
    const timer = parts.clock.setTimeout(() => {
      if (freshness(old, parts.clock.now(), request.policy) === 'absent') return;
      resolve(servedOld(old));
      if (request.policy.background) return;
      flight.cancellation.abort(new LoadTimeoutError(request.key.wire, softTimeoutMs));
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
  parts.background.run(
    parts.remote.attempt('release', (tier) => tier.release(flight.wire, token), flight.wire),
  );
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
  const lease = heldLease(parts, flight, licence);
  const { cancellation } = flight;
  const stale = handedOut(old?.value, parts.sharing);
  const loading = new Loading(parts.namespace, key.wire, cancellation, stale, policy);
  let value: unknown;
  try {
    value = await runLoader(loader, loading, key.wire, cancellation, policy.hardTimeoutMs, parts.clock);
  } catch (error) {
    release(parts, flight);
    return failed(parts, flight, request, error, old);
  } finally {
    if (lease !== undefined) parts.leases?.drop(lease);
  }
  const loadMs = parts.clock.now() - startedAt;
  countLoad(state.counters, loadMs);
  if (parts.events.heard('load')) {
    parts.events.emit('load', { key: key.wire, resource: key.resource.name, durationMs: loadMs });
  }
  parts.failures.forget(key.wire);
  if (old !== undefined && loading.unchanged && value === stale && licence.token !== undefined) {
    await prolong(parts, flight, request, loading.policy, old);
    return { value: old.value, state: 'miss', from: 'loader', clock: licence.clock };
  }
  if (parts.memory.maxEntries > 0 && parts.sharing === 'freeze') deepFreeze(value);
  await store(parts, flight, request, licence, loading, value, loadMs);
  return { value, state: 'miss', from: 'loader', clock: licence.clock };
}

function failed(
  parts: EngineParts,
  flight: Flight<Outcome>,
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
  // Who leaves says nothing of the loader.
  const { aborted, reason } = flight.cancellation;
  const left = aborted && !isCacheKitError(reason, 'LOAD_TIMEOUT');
  if (!left && !flight.overtaken && remembered(policy)) {
    parts.failures.remember(key.wire, error, policy.errorTtlMs);
  }
  if (instead === undefined) throw error;
  return servedOld(instead);
}

function remembered(policy: ResolvedPolicy): boolean {
  const { errorTtlMs, refreshAhead, staleIfErrorMs, staleWhileRevalidateMs } = policy;
  return errorTtlMs > 0 || refreshAhead > 0 || staleIfErrorMs > 0 || staleWhileRevalidateMs > 0;
}

/** Lets an entry that was found unchanged begin a new life, unless something overtook the load. */
async function prolong(
  parts: EngineParts,
  flight: Flight<Outcome>,
  request: ReadRequest,
  policy: ResolvedPolicy,
  old: OldValue,
): Promise<void> {
  const { wire } = request.key;
  const freshUntil = parts.clock.now() + jittered(policy.ttlMs, policy.jitter, wire);
  const tierUntil = parts.time.toTier(freshUntil);
  let prolonged = false;
  if (!flight.overtaken) {
    try {
      prolonged =
        (await parts.remote?.attempt(
          'touch',
          (tier) => tier.touch(wire, old.version, tierUntil, keepMs(policy)),
          wire,
        )) === true;
    } catch {
      // Told by whoever makes the call; the entry ends as it would have.
      return;
    }
  }
  if (!prolonged) {
    flight.overtaken = true;
    refused(parts, request);
    release(parts, flight);
    return;
  }
  flight.token = undefined;
  const held = parts.memory.look(wire);
  if (held?.version !== old.version) return;
  held.freshUntil = freshUntil;
  held.quietUntil = aheadAt(held, policy, parts.random());
}

/** Puts a loaded value where the next read finds it, unless something overtook the load. */
async function store(
  parts: EngineParts,
  flight: Flight<Outcome>,
  request: ReadRequest,
  licence: Licence,
  loading: Loading,
  value: unknown,
  loadMs: number,
): Promise<void> {
  const { key, state } = request;
  const { policy } = loading;
  const kind: EntryKind = value === null ? 'negative' : 'value';
  const lifeMs = kind === 'value' ? policy.ttlMs : Math.min(policy.negativeTtlMs, policy.ttlMs);
  const ttlMs = jittered(lifeMs, policy.jitter, key.wire);
  if (flight.overtaken || ttlMs === 0) {
    if (flight.overtaken) refused(parts, request);
    release(parts, flight);
    return;
  }
  const tags = flight.tags.map((record) => record.wire);
  for (const tag of loading.tags) if (!tags.includes(tag)) tags.push(tag);
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
  }
  if (flight.overtaken || flight.touched || parts.memory.maxEntries === 0) return;
  // A tag that came with the value was not watched while it was loaded.
  for (const tag of loading.tags)
    if (parts.tags.changedSince(tag, flight.asOf)) return refused(parts, request);
  const degradedUntil = degraded ? now + Math.min(degradedMs, ttlMs) : 0;
  const freshUntil = degraded ? degradedUntil : now + ttlMs;
  let held: unknown;
  try {
    held = kept(value, parts.sharing);
  } catch (error) {
    parts.events.emit('unstorable', { key: key.wire, resource: key.resource.name, error });
    return;
  }
  const version = token ?? '';
  const bytes = bytesOf(parts, key.wire, value);
  const holding = { kind, value: held, clock, version, loadMs, bytes, freshUntil, tags, degradedUntil };
  const entry = memoryEntry(parts, flight, state, holding, policy);
  // The tier knows every tag now, and none was invalidated after the load began.
  for (const record of entry.tags) {
    if (token !== undefined && record.epoch !== flight.epoch) {
      parts.tags.learned(record, clock, flight.epoch, flight.asOf);
    }
  }
  parts.memory.set(entry);
}

function refused(parts: EngineParts, request: ReadRequest): void {
  request.state.counters.refusedCommits++;
  if (!parts.events.heard('commitRefused')) return;
  parts.events.emit('commitRefused', { key: request.key.wire, resource: request.key.resource.name });
}

/** The lease of a load, which is prolonged for as long as it runs. */
function heldLease(parts: EngineParts, { wire }: Flight<Outcome>, { token }: Licence): Lease | undefined {
  if (parts.leases === undefined || token === undefined) return undefined;
  const lease: Lease = { wire, token, dueAt: 0 };
  parts.leases.hold(lease);
  return lease;
}

/** Prolongs the leases of loads. A lease that is lost stays lost: the commit is refused. */
export function leasesOf(remote: RemoteCall, clock: Clock, background: Background): Leases {
  return new Leases(clock, leaseMs / 3, ({ wire, token }) => {
    background.run(remote.read('renew', (tier) => tier.renew(wire, token, leaseMs), wire));
  });
}
