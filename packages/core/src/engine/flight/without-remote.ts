import { oldInMemory } from '../hold.ts';
import { wiresOf } from '../load/lease.ts';
import { loadOrOld } from '../load/load-or-old.ts';
import type { EngineParts, Outcome } from '../parts.ts';
import type { ReadRequest } from '../read-request.ts';
import type { Flight } from '../steps/single-flight.ts';
import { abandon, begin } from './course.ts';
import { sparedLoad } from './spared-load.ts';

/** The loader, where memory is all there is, or where the remote tier does not answer. */
export async function withoutRemote(
  parts: EngineParts,
  flight: Flight<Outcome>,
  request: ReadRequest,
): Promise<Outcome> {
  const { remote } = parts;
  const old = oldInMemory(parts, request);
  const spared = sparedLoad(parts, request, old);
  if (spared !== undefined) return spared;
  const other = remote === undefined ? undefined : degradedLoad(parts, flight, request);
  if (other !== undefined) {
    return await other.join(flight.cancellation.signal, (reason) => abandon(parts, other, reason));
  }
  begin(parts, flight, 'loading');
  flight.degraded = remote !== undefined;
  const clock = remote === undefined ? parts.time.tick() : parts.time.estimate();
  const tags = wiresOf(flight.tags);
  const licence = { clock, token: undefined, degraded: remote !== undefined, tags };
  return await loadOrOld(parts, flight, request, licence, old);
}

/** The load of another flight that did not reach the remote tier either, so that one loader runs for all of them. */
function degradedLoad(
  { flights }: EngineParts,
  flight: Flight<Outcome>,
  { minClock }: ReadRequest,
): Flight<Outcome> | undefined {
  for (const other of flights.liveOf(flight.wire)) {
    const usable = other.degraded && !other.overtaken && !other.doubted && !other.cancellation.aborted;
    if (usable && other.clock >= minClock) return other;
  }
  return undefined;
}
