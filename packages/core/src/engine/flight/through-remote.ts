import { LoadTimeoutError } from '../../errors.ts';
import type { Acquisition } from '../../ports/remote-tier.ts';
import { type HeldEntry, holdFound, type OldValue, servedOld } from '../hold.ts';
import { acquisitionOf, forsake, licenceOf } from '../load/lease.ts';
import { loadOrOld } from '../load/load-or-old.ts';
import type { EngineParts, Outcome } from '../parts.ts';
import type { ReadRequest } from '../read-request.ts';
import type { RemoteCall } from '../remote-call.ts';
import { freshness } from '../steps/freshness.ts';
import type { Found, Looks } from '../steps/looks.ts';
import type { Flight } from '../steps/single-flight.ts';
import { begin } from './course.ts';
import { sparedLoad } from './spared-load.ts';
import { withoutRemote } from './without-remote.ts';

/** Delay of the first poll of those who wait for another process, and of the last. */
const firstPollMs = 20;
const longestPollMs = 200;

/** What a first look found that is no answer yet. */
export interface Seen {
  readonly found: Found;
  readonly entry: HeldEntry | undefined;
  /** What the tier said when it was asked for the load. */
  readonly answer?: Acquisition;
}

/** Wait for the process that loads, or become it, after the first look, which found nothing that is answered with at once. */
export async function throughRemote(
  parts: EngineParts,
  flight: Flight<Outcome>,
  read: ReadRequest,
  seen: Seen,
  launchBehind: (parts: EngineParts, request: ReadRequest, renewed?: HeldEntry) => void,
): Promise<Outcome> {
  const { key, policy } = read;
  const remote = parts.remote as RemoteCall;
  const startedAt = parts.clock.now();
  // What a renewal replaces; any other version is what it asks for, whoever wrote it.
  let replaced = read.replaces;
  let { found, entry } = seen;
  let asked = seen.answer;
  for (let pollMs = firstPollMs; ; pollMs = Math.min(pollMs * 2, longestPollMs)) {
    const life = entry === undefined ? 'absent' : freshness(entry, parts.clock.now(), policy);
    if (read.renews) {
      const version = found.read.state === 'entry' ? found.read.entry.version : '';
      replaced ??= version;
      if (entry !== undefined && life === 'fresh' && version !== replaced) {
        return remoteHit(entry);
      }
    } else if (entry !== undefined && life === 'fresh') {
      if (parts.clock.now() >= entry.quietUntil) {
        parts.flights.detach(flight);
        launchBehind(parts, read, entry);
      }
      return remoteHit(entry);
    }
    if (entry !== undefined && life === 'stale' && !flight.behind && !read.renews) {
      parts.flights.detach(flight);
      launchBehind(parts, read);
      return servedOld({ ...entry, from: 'remote' });
    }
    const old: OldValue | undefined =
      entry === undefined || life === 'absent' ? undefined : { ...entry, from: 'remote' };
    const spared = sparedLoad(parts, read, old);
    if (spared !== undefined) return spared;
    let again = false;
    if (found.read.state !== 'leased') {
      const request = acquisitionOf(parts, flight, found);
      let answer = asked;
      asked = undefined;
      if (answer === undefined) {
        begin(parts, flight, 'loading');
        const sentAt = parts.clock.now();
        try {
          answer = await remote.read('acquire', (tier) => tier.acquire(request), key.wire);
        } catch (error) {
          forsake(parts, request, error);
          return await withoutRemote(parts, flight, read);
        }
        if (answer.state === 'acquired') {
          parts.time.observe(answer.clock, sentAt);
          return await loadOrOld(parts, flight, read, licenceOf(request, answer.clock), old);
        }
      }
      // Somebody stored it between the read and now: look again at once, the first time.
      again = answer.state === 'entry' && pollMs === firstPollMs;
    }
    if (!again) {
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
      await flight.pause(parts.clock, Math.min(pollMs, limitMs - waitedMs));
      flight.cancellation.throwIfAborted();
    }
    try {
      found = await lookAgain(parts, flight);
    } catch {
      return await withoutRemote(parts, flight, read);
    }
    entry = holdFound(parts, flight, read, found);
  }
}

function remoteHit({ value, clock, freshUntil }: HeldEntry): Outcome {
  return { value, state: 'hit', from: 'remote', clock, freshUntil };
}

/** What happens from the moment it is sent on is heard by the flight, so that nothing is missed before it waits again. */
async function lookAgain(parts: EngineParts, flight: Flight<Outcome>): Promise<Found> {
  const sent = () => begin(parts, flight, 'reading');
  const found = await (parts.looks as Looks).look(flight.wire, flight.tags, sent);
  parts.tags.release(flight.others);
  flight.others = found.others;
  flight.cancellation.throwIfAborted();
  return found;
}
