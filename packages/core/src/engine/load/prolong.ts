import { keepMs, type ResolvedPolicy } from '../../policy.ts';
import type { OldValue } from '../hold.ts';
import type { EngineParts, Outcome } from '../parts.ts';
import type { ReadRequest } from '../read-request.ts';
import { jittered } from '../steps/jitter.ts';
import { aheadAt } from '../steps/refresh-ahead.ts';
import type { Flight } from '../steps/single-flight.ts';
import { refused } from './commit.ts';
import { release } from './lease.ts';

/**
 * Lets an entry that was found unchanged begin a new life, unless something overtook the load.
 *
 * @returns Until when it is fresh now.
 */
export async function prolong(
  parts: EngineParts,
  flight: Flight<Outcome>,
  request: ReadRequest,
  policy: ResolvedPolicy,
  old: OldValue,
): Promise<number> {
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
      return old.freshUntil;
    }
  }
  if (!prolonged) {
    flight.overtaken = true;
    refused(parts, request);
    release(parts, flight);
    return 0;
  }
  flight.token = undefined;
  const held = parts.memory.look(wire);
  if (held?.version === old.version) {
    held.freshUntil = freshUntil;
    held.quietUntil = aheadAt(held, policy, parts.random());
  }
  return freshUntil;
}
