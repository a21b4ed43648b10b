import type { LimitState, Step } from './algorithm.ts';
import type { Policy } from './policy.ts';

/**
 * Asks every policy and takes from all or from none.
 *
 * Where one policy says no, the steps of those that would have said yes are those of a look: nothing taken, and what
 * remains is what was there. A shadow policy takes what fits and keeps nobody from anything.
 */
export function stepAll(
  policies: readonly Policy[],
  states: readonly (LimitState | undefined)[],
  cost: number,
  now: number,
  force = false,
): Step[] {
  const steps: Step[] = [];
  let denied = false;
  for (let i = 0; i < policies.length; i++) {
    const policy = policies[i] as Policy;
    const step = policy.algorithm.next(states[i], policy, cost, now, force);
    if (!step.fits && !policy.shadow) denied = true;
    steps.push(step);
  }
  if (denied && steps.length > 1) {
    for (let i = 0; i < policies.length; i++) {
      const policy = policies[i] as Policy;
      if (steps[i]?.fits) steps[i] = policy.algorithm.next(states[i], policy, 0, now, true);
    }
  }
  return steps;
}

/** What {@link stepAll} would say, while nothing is taken. */
export function peekAll(
  policies: readonly Policy[],
  states: readonly (LimitState | undefined)[],
  cost: number,
  now: number,
): Step[] {
  return policies.map((policy, i) => {
    const { fits, retryAfterMs } = policy.algorithm.next(states[i], policy, cost, now);
    return { ...policy.algorithm.next(states[i], policy, 0, now, true), fits, retryAfterMs };
  });
}

/** Whether what was asked for was taken, at least where it is not only for show. */
export function allFit(policies: readonly Policy[], steps: readonly Step[]): boolean {
  for (let i = 0; i < steps.length; i++) if (!steps[i]?.fits && !policies[i]?.shadow) return false;
  return true;
}
