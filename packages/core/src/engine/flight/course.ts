import { countOutcome } from '../outcome.ts';
import type { EngineParts, Outcome } from '../parts.ts';
import type { ReadRequest } from '../read-request.ts';
import type { Flight } from '../steps/single-flight.ts';
import { epochOf } from '../steps/trust.ts';

/** Whatever happened before is no concern of the read or load that begins now. */
export function begin(parts: EngineParts, flight: Flight<Outcome>, phase: 'reading' | 'loading'): void {
  flight.begin(phase, epochOf(parts.memory.epoch), parts.tags.changes);
}

/** As {@link settle}, with an entry of the remote tier that is fresh; most need no outcome of their own. */
export function settleHit(
  parts: EngineParts,
  flight: Flight<Outcome>,
  request: ReadRequest,
  value: unknown,
  { clock, loadMs }: Pick<Outcome, 'clock' | 'loadMs'>,
  freshUntil: number,
): void {
  if (flight.resolveValue(value)) {
    request.state.counters.remoteHits += flight.takers;
    ended(parts, flight);
  } else settle(parts, flight, request, { value, state: 'hit', from: 'remote', clock, loadMs, freshUntil });
}

/** Answers all who wait. */
export function settle(
  parts: EngineParts,
  flight: Flight<Outcome>,
  { state }: ReadRequest,
  outcome: Outcome,
): void {
  flight.resolve(outcome);
  for (let taker = 0; taker < flight.takers; taker++) countOutcome(state.counters, outcome);
  ended(parts, flight);
}

/** Tells all who wait why there is no answer. */
export function fail(
  parts: EngineParts,
  flight: Flight<Outcome>,
  { state }: ReadRequest,
  error: unknown,
): void {
  flight.reject(error);
  state.counters.misses += flight.takers;
  ended(parts, flight);
}

/** Nobody waits any more. */
export function abandon(parts: EngineParts, flight: Flight<Outcome>, reason: unknown): void {
  parts.flights.detach(flight);
  flight.cancellation.abort(reason);
}

function ended(parts: EngineParts, flight: Flight<Outcome>): void {
  const { tail } = flight;
  if (tail === undefined) land(parts, flight);
  else {
    const done = () => land(parts, flight);
    tail.then(done, done);
  }
}

/** Nothing that happens concerns the flight any more. */
function land({ flights, tags, background }: EngineParts, flight: Flight<Outcome>): void {
  flights.landed(flight);
  tags.release(flight.tags);
  tags.release(flight.others);
  // Those of this process who could not join it hear of its end even while nothing else is heard.
  flights.wake(flight.wire);
  background.end();
}
