import { DueQueue } from '../../async/due-queue.ts';
import type { TagRecord } from '../../memory/tag-records.ts';
import type { Clock } from '../../ports/clock.ts';
import type { AcquireRequest, Acquisition, TierClock } from '../../ports/remote-tier.ts';
import type { Found } from '../looks/looker.ts';
import type { EngineParts, Outcome } from '../parts.ts';
import type { RemoteCall } from '../remote-call.ts';
import { Asks } from '../steps/asks.ts';
import type { Background } from '../steps/background.ts';
import type { Flight } from '../steps/single-flight.ts';

/** How long a lease lasts; a load keeps it by asking again, so a dead process is taken over after this. */
const leaseMs = 5_000;

/** What a load runs under. Without a token there is no lease: memory is all there is, or the tier did not answer. */
export interface Licence {
  readonly clock: TierClock;
  readonly token: string | undefined;
  /** The remote tier did not answer. */
  readonly degraded: boolean;
  /** Wire keys of the tags of the flight. */
  readonly tags: readonly string[];
}

/** What asks for the lease of a key. Where nobody `found` anything, because nobody looked, the tier looks itself. */
export function acquisitionOf(
  parts: EngineParts,
  flight: Flight<Outcome>,
  found: Found | undefined,
): AcquireRequest {
  const { wire } = flight;
  const tags = wiresOf(flight.tags);
  const token = parts.tokens.next();
  if (found === undefined) return { key: wire, token, leaseMs, tags, unseen: true };
  const { read } = found;
  if (read.state !== 'entry') return { key: wire, token, leaseMs, tags };
  return { key: wire, token, leaseMs, tags, replaces: read.entry.version };
}

/** The last list: what is loaded in one tick often carries the same tags. */
let lastWires: readonly string[] = [];

/** Wire keys of the tags; the same list as the last time if they are the same. */
export function wiresOf(records: readonly TagRecord[]): readonly string[] {
  let same = records.length === lastWires.length;
  for (let index = 0; same && index < records.length; index++) {
    same = records[index]?.wire === lastWires[index];
  }
  if (!same) lastWires = records.map(({ wire }) => wire);
  return lastWires;
}

/** What a load runs under that was given the lease it asked for. */
export function licenceOf({ token, tags = [] }: AcquireRequest, clock: TierClock): Licence {
  return { clock, token, degraded: false, tags };
}

/** The load goes on without the tier, which may give the lease all the same: others would wait for nobody. */
export function forsake(
  { background, remote }: EngineParts,
  { key, token }: AcquireRequest,
  error: unknown,
): void {
  if (remote !== undefined) background.run(remote.forsake(key, token, error));
}

/** Asks to load keys, for all that are missing in one tick together. */
export function acquiresOf(remote: RemoteCall, clock: Clock): Asks<AcquireRequest, Acquisition> {
  const { tier } = remote;
  const many = tier.partOf === undefined ? tier.acquireMany : undefined;
  return new Asks({
    now: () => clock.now(),
    one: (request) => remote.read('acquire', () => tier.acquire(request), request.key),
    ...(many && { many: (requests) => remote.read('acquire', () => many.call(tier, requests)) }),
    failure: (error) => remote.failure('acquire', error),
  });
}

/** Prolongs the leases of loads for as long as they run. A lease that is lost stays lost: the commit is refused. */
export function leasesOf(
  remote: RemoteCall,
  clock: Clock,
  background: Background,
): DueQueue<Flight<Outcome>> {
  const leases = new DueQueue<Flight<Outcome>>(clock, leaseMs / 3, (flight) => {
    const { wire, token } = flight;
    if (token === undefined) return;
    leases.add(flight);
    background.run(remote.read('renew', (tier) => tier.renew(wire, token, leaseMs), wire));
  });
  return leases;
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
