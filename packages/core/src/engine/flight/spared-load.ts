import { type OldValue, servedOld } from '../hold.ts';
import type { EngineParts, Outcome } from '../parts.ts';
import type { ReadRequest } from '../read-request.ts';
import { freshness } from '../steps/freshness.ts';

/** What is answered without a load because the last one failed a moment ago. @throws The error of that load. */
export function sparedLoad(
  parts: EngineParts,
  request: ReadRequest,
  old: OldValue | undefined,
): Outcome | undefined {
  const { key, policy, minClock, renews } = request;
  if (renews) return undefined;
  const life = old === undefined ? 'absent' : freshness(old, parts.clock.now(), policy);
  if (old !== undefined && life !== 'absent') {
    return parts.failures.paused(key.wire) ? servedOld(old) : undefined;
  }
  const failure = policy.errorTtlMs === 0 ? undefined : parts.failures.kept(key.wire, minClock);
  if (failure !== undefined) throw failure.error;
  return undefined;
}
