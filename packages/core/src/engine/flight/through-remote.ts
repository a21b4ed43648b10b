import { LoadTimeoutError } from '../../errors.ts';
import { elapsedMs } from '../../ports/clock.ts';
import type { Acquisition } from '../../ports/remote-tier.ts';
import { type HeldEntry, holdFound, type OldValue, servedOld } from '../hold.ts';
import { acquisitionOf, forsake, licenceOf } from '../load/lease.ts';
import { loadOrOld } from '../load/load-or-old.ts';
import type { Found } from '../looks/looker.ts';
import type { Looks } from '../looks/looks.ts';
import type { EngineParts, Outcome } from '../parts.ts';
import type { ReadRequest } from '../read-request.ts';
import type { RemoteCall } from '../remote-call.ts';
import { freshness } from '../steps/freshness.ts';
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
  const startedAt = elapsedMs(parts.clock);
  let { found, entry } = seen;
  // What a renewal replaces; any other version is what it asks for, whoever wrote it.
  const replaced = read.replaces ?? (found.read.state === 'entry' ? found.read.entry.version : '');
  let asked = seen.answer;
  for (let pollMs = firstPollMs; ; pollMs = Math.min(pollMs * 2, longestPollMs)) {
    const life = entry === undefined ? 'absent' : freshness(entry, parts.clock.now(), policy);
    if (entry !== undefined && life === 'fresh' && !(read.renews && entry.version === replaced)) {
      if (!read.renews && parts.clock.now() >= entry.quietUntil) {
        parts.flights.detach(flight);
        launchBehind(parts, read, entry);
      }
      const { value, clock, loadMs, freshUntil } = entry;
      return { value, state: 'hit', from: 'remote', clock, loadMs, freshUntil };
    }
    if (entry !== undefined && life === 'stale' && !flight.behind && !read.renews) {
      parts.flights.detach(flight);
      launchBehind(parts, read);
      return servedOld({ ...entry, from: 'remote' });
    }
    const old: OldValue | undefined =
      entry === undefined || life === 'absent'
        ? undefined
        : { ...entry, tags: flight.others, from: 'remote' };
    const spared = sparedLoad(parts, read, old);
    if (spared !== undefined) return spared;
    let again = false;
    if (found.read.state !== 'leased') {
      let answer = asked;
      asked = undefined;
      if (answer === undefined) {
        const request = acquisitionOf(parts, flight, found);
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
      const { softTimeoutMs, hardTimeoutMs } = policy;
      const instead = read.renews ? undefined : old;
      const limitMs = instead === undefined ? hardTimeoutMs : Math.min(softTimeoutMs, hardTimeoutMs);
      const leftMs = limitMs - (elapsedMs(parts.clock) - startedAt);
      if (leftMs <= 0) {
        if (instead !== undefined) return servedOld(instead);
        throw new LoadTimeoutError(key.wire, hardTimeoutMs);
      }
      if (instead === undefined) flight.phase = 'waiting';
      await flight.pause(parts.clock, Math.min(pollMs, leftMs));
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

/** What happens from the moment it is sent on is heard by the flight, so that nothing is missed before it waits again. */
async function lookAgain(parts: EngineParts, flight: Flight<Outcome>): Promise<Found> {
  const sent = () => begin(parts, flight, 'reading');
  const found = await (parts.looks as Looks).look(flight.wire, flight.tags, sent);
  parts.tags.release(flight.others);
  flight.others = found.others;
  flight.cancellation.throwIfAborted();
  return found;
}
