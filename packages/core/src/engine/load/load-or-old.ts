import { LoadTimeoutError } from '../../errors.ts';
import { type OldValue, servedOld } from '../hold.ts';
import type { EngineParts, Outcome } from '../parts.ts';
import type { ReadRequest } from '../read-request.ts';
import { freshness } from '../steps/freshness.ts';
import type { Flight } from '../steps/single-flight.ts';
import type { Licence } from './lease.ts';
import { Load } from './load.ts';

/** Runs the loader and stores what it gives; serves the old value when the loader fails or is too slow. */
export function loadOrOld(
  parts: EngineParts,
  flight: Flight<Outcome>,
  request: ReadRequest,
  licence: Licence,
  old: OldValue | undefined,
): Promise<Outcome> {
  const loading = new Promise<Outcome>((settle, fail) => {
    new Load(parts, flight, request, licence, old, { settle, fail }).start();
  });
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
