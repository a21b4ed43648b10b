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
   * it, at most for one more limit.
   *
   * The first `commit()` or `cancel()` that the store carries out is the last that does something; nothing is done if the
   * request was denied. One that the store failed may be repeated, also with another cost or as the other: it does what
   * is not done yet, policy by policy. What was done, though the answer was lost, is then done twice.
   *
   * @throws ArgumentError `INVALID_ARGUMENT` if the cost is no integer from 0.
   * @throws RateLimitStoreError `RATE_LIMIT_STORE` if the store did not do it; until it does, the estimate stays taken.
   * @example
   * const reservation = await limiter.reserve({ api: ['7'] }, { cost: 40 });
   * await reservation.commit(31).catch(() => reservation.commit(31)); // once more, if the store failed
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
  const { decision, request, cost: estimate, session, at } = taken;
  /** The places of the policies that are not corrected yet. */
  let open = session === undefined ? [] : [...request.policies.keys()];
  let underWay: Promise<void> | undefined;

  async function correctOne(place: number, cost: number): Promise<void> {
    const policy = request.policies[place] as Policy;
    // Whoever took the whole share of this process has taken all that a greater cost takes, too.
    const due = request.cost < estimate ? Math.min(cost, request.cost) : cost;
    const difference = (holdsSlots(policy) ? 0 : due) - request.cost;
    const target = { policies: [policy], keys: [request.keys[place] as string] };
    if (difference > 0) await checks.settle('force', target, difference, session);
    // A shadow policy that said no took nothing, so there is nothing to give back.
    else if (difference < 0 && !isShadowed(taken, place)) {
      await checks.settle('give', target, -difference, session, [at?.[place]]);
    }
  }

  async function correct(cost: number): Promise<void> {
    const outcomes = await Promise.allSettled(open.map((place) => correctOne(place, cost)));
    open = open.filter((_, index) => outcomes[index]?.status === 'rejected');
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  /** Those who ask while one is under way hear how that one ends. */
  function settle(cost: number): Promise<void> {
    underWay ??= correct(cost).finally(() => {
      underWay = undefined;
    });
    return underWay;
  }

  return {
    decision: decision as Decision<Name>,
    async commit(cost = estimate): Promise<void> {
      if (!Number.isSafeInteger(cost) || cost < 0) {
        throw new ArgumentError(`commit: cost: ${String(cost)} is none; give an integer from 0`);
      }
      await settle(cost);
    },
    cancel: () => settle(0),
  };
}

function holdsSlots({ algorithm }: Policy): boolean {
  return algorithm.name === 'concurrency';
}

function isShadowed({ decision }: Taken, index: number): boolean {
  const name = Object.keys(decision.limits)[index] as string;
  return decision.shadowed.includes(name);
}
