import { ArgumentError } from '@cachekit/core';
import type { Policy } from './algorithms/policy.ts';
import type { Checks, Taken } from './checks.ts';
import type { Decision } from './decision.ts';

/** What was taken before its true cost was known, or slots that are held. */
export interface Reservation<Name extends string = string> {
  readonly decision: Decision<Name>;
  /**
   * Corrects what was taken to the true cost, and gives slots of `concurrency()` back. Without a cost, the estimate was true.
   *
   * What the true cost is below the estimate comes back, unless it has come back by itself meanwhile, because the window is
   * over or the bucket filled again. What it is above the estimate is taken even if it does not fit: later requests wait for
   * it, at most for one more limit. Only the first `commit()` or `cancel()` does something, and only if the request was allowed.
   *
   * @throws ArgumentError `INVALID_ARGUMENT` if the cost is no integer from 0.
   * @throws RateLimitStoreError `RATE_LIMIT_STORE` if the store did not do it; the estimate stays taken.
   */
  commit(cost?: number): Promise<void>;
  /**
   * Gives everything back that has not come back by itself meanwhile.
   * @throws RateLimitStoreError `RATE_LIMIT_STORE` as `commit()`.
   */
  cancel(): Promise<void>;
}

/** Makes the handle of what `taken` took. */
export function reservationOf<Name extends string>(checks: Checks, taken: Taken): Reservation<Name> {
  let settled = taken.session === undefined;

  async function correct(cost: number): Promise<void> {
    const { request, session, at } = taken;
    const { policies, keys } = request;
    const slots: number[] = [];
    const counts: number[] = [];
    for (const [i, policy] of policies.entries()) (holdsSlots(policy) ? slots : counts).push(i);
    const difference = cost - request.cost;
    const change = (mode: 'give' | 'force', indexes: readonly number[], tokens: number): Promise<void> => {
      // A shadow policy that said no took nothing, so there is nothing to give back.
      const chosen = indexes.filter((i) => mode === 'force' || !isShadowed(taken, i));
      if (chosen.length === 0 || tokens === 0) return Promise.resolve();
      const target = {
        policies: chosen.map((i) => policies[i] as Policy),
        keys: chosen.map((i) => keys[i] as string),
      };
      const tokensAt = mode === 'give' ? chosen.map((i) => at?.[i]) : undefined;
      return checks.settle(mode, target, tokens, session, tokensAt);
    };
    await Promise.all([
      change('give', slots, request.cost),
      change(difference < 0 ? 'give' : 'force', counts, Math.abs(difference)),
    ]);
  }

  return {
    decision: taken.decision as Decision<Name>,
    async commit(cost = taken.request.cost): Promise<void> {
      if (!Number.isSafeInteger(cost) || cost < 0) {
        throw new ArgumentError(`commit: cost: ${String(cost)} is none; give an integer from 0`);
      }
      if (settled) return;
      settled = true;
      await correct(cost);
    },
    async cancel(): Promise<void> {
      if (settled) return;
      settled = true;
      await correct(0);
    },
  };
}

function holdsSlots({ algorithm }: Policy): boolean {
  return algorithm.name === 'concurrency';
}

function isShadowed({ decision }: Taken, index: number): boolean {
  const name = Object.keys(decision.limits)[index] as string;
  return decision.shadowed.includes(name);
}
