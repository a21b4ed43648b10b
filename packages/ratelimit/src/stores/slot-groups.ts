import type { Policy } from '../algorithms/policy.ts';
import { hashSlot } from './hash-slot.ts';
import type { LimitRequest, PolicyAnswer } from './store.ts';

/** Positions of the keys of a request by slot, the group with the smallest limit first: it is the likeliest to say no. */
export function groupsOf({ keys, policies }: LimitRequest): readonly (readonly number[])[] {
  const groups = new Map<number, number[]>();
  for (const [index, key] of keys.entries()) {
    const slot = hashSlot(key);
    const group = groups.get(slot);
    if (group === undefined) groups.set(slot, [index]);
    else group.push(index);
  }
  const smallest = (group: readonly number[]): number =>
    Math.min(...group.map((index) => (policies[index] as Policy).limit));
  return [...groups.values()].sort((a, b) => smallest(a) - smallest(b));
}

/** The step of a policy that was not asked, because another had said no before its turn came. */
export function notAsked(): PolicyAnswer {
  return { fits: true, expiresAt: 0, value: 0, remaining: undefined, retryAfterMs: 0, resetMs: undefined };
}

/** The step of a policy from which tokens were taken and given back. */
export function restored(step: PolicyAnswer, { limit }: Policy, cost: number): PolicyAnswer {
  if (!step.fits || step.remaining === undefined) return step;
  return { ...step, remaining: Math.min(limit, step.remaining + cost), resetMs: undefined, at: undefined };
}
