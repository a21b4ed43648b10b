import type { Policy } from '../policy.ts';
import type { LimitState, Step } from './algorithm.ts';

/**
 * Asks every policy and takes from all or from none.
 *
 * Where one policy says no, the steps of those that would have said yes are those of a look: nothing taken, and what
 * remains is what was there.
 */
export function stepAll(
  policies: readonly Policy[],
  states: readonly (LimitState | undefined)[],
  cost: number,
  now: number,
): Step[] {
  const steps: Step[] = [];
  let denied = false;
  for (let i = 0; i < policies.length; i++) {
    const policy = policies[i] as Policy;
    const step = policy.algorithm.next(states[i], policy, cost, now);
    if (!step.fits) denied = true;
    steps.push(step);
  }
  if (denied && steps.length > 1) {
    for (let i = 0; i < policies.length; i++) {
      const policy = policies[i] as Policy;
      if (steps[i]?.fits) steps[i] = policy.algorithm.next(states[i], policy, 0, now);
    }
  }
  return steps;
}

/** Whether the steps of {@link stepAll} took what was asked for. */
export function allFit(steps: readonly Step[]): boolean {
  for (const step of steps) if (!step.fits) return false;
  return true;
}
