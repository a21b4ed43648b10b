import { isCacheKitError } from '../../errors.ts';
import type { ResolvedPolicy } from '../../policy.ts';
import type { OldValue } from '../hold.ts';
import type { EngineParts, Outcome } from '../parts.ts';
import type { ReadRequest } from '../read-request.ts';
import { freshness } from '../steps/freshness.ts';
import type { Flight } from '../steps/single-flight.ts';

/** Tells of a load that failed and remembers it. @returns What may be served in its place. */
export function failedLoad(
  parts: EngineParts,
  flight: Flight<Outcome>,
  request: ReadRequest,
  error: unknown,
  old: OldValue | undefined,
): OldValue | undefined {
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
    parts.failures.remember(key.wire, error, policy.errorTtlMs, flight.clock);
  }
  return instead;
}

function remembered(policy: ResolvedPolicy): boolean {
  const { errorTtlMs, refreshAhead, staleIfErrorMs, staleWhileRevalidateMs } = policy;
  return errorTtlMs > 0 || refreshAhead > 0 || staleIfErrorMs > 0 || staleWhileRevalidateMs > 0;
}
