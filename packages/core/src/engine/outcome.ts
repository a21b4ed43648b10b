import { handedOut } from '../memory/sharing.ts';
import type { EngineParts, Outcome, ResourceState } from './parts.ts';

/** The outcome as one of those who wait for it is to have it. */
export function handed(parts: EngineParts, outcome: Outcome): Outcome {
  return parts.sharing === 'clone' ? { ...outcome, value: handedOut(outcome.value, 'clone') } : outcome;
}

/** Counts one answered request. */
export function countOutcome(
  counters: ResourceState['counters'],
  outcome: Pick<Outcome, 'state' | 'from'>,
): void {
  if (outcome.state === 'miss') {
    counters.misses++;
    return;
  }
  if (outcome.from === 'remote') counters.remoteHits++;
  else counters.memoryHits++;
  if (outcome.state === 'stale') counters.staleServed++;
}
