import type { Policy } from './algorithms/policy.ts';
import type { LimitRequest } from './stores/store.ts';

/**
 * What one of several processes lets pass while they cannot count together: each limit divided by their number, and
 * at least 1. A cost that is above the share, but not above the limit, takes the whole share.
 */
export class LocalShare {
  readonly #instances: number;
  readonly #shares = new WeakMap<Policy, Policy>();

  constructor(instances: number) {
    this.#instances = instances;
  }

  of(request: LimitRequest): LimitRequest {
    if (this.#instances === 1) return request;
    const policies = request.policies.map((policy) => this.#share(policy));
    let { cost } = request;
    if (request.policies.every(({ limit }) => request.cost <= limit)) {
      for (const { limit } of policies) cost = Math.min(cost, limit);
    }
    return { ...request, policies, cost };
  }

  #share(policy: Policy): Policy {
    let share = this.#shares.get(policy);
    if (share === undefined) {
      share = { ...policy, limit: Math.max(1, Math.floor(policy.limit / this.#instances)) };
      this.#shares.set(policy, share);
    }
    return share;
  }
}
