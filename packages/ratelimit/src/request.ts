import { ArgumentError, globalPrefix } from '@cachekit/core';
import { limitRefusal, type Policy } from './algorithms/policy.ts';
import { mostLogged } from './algorithms/token-log.ts';
import { type KeyParts, keyTail, limitPrefix } from './key.ts';

/** Whose limits a call is about. */
export interface TenantOption {
  /**
   * Puts the keys under this tenant: other tenants' equal ids are counted apart, and on Redis Cluster all keys of the
   * check are in one slot.
   */
  tenant?: string;
}

/** What one check takes besides the ids. */
export interface ConsumeOptions extends TenantOption {
  /**
   * Tokens to take from each policy; an integer from 1.
   * @defaultValue `1`
   */
  cost?: number;
  /**
   * Limits of this call instead of those of the policies, such as those of a plan. What was counted stays counted when
   * a limit changes from call to call: the tokens, or, in a `gcra()`, the share of the bucket that they were.
   */
  limits?: Readonly<Record<string, number>>;
}

/** The keys of a call, and the policy of each with the limit of the call. */
export interface Target {
  readonly policies: readonly Policy[];
  readonly keys: readonly string[];
}

/** What is known of a policy before any call. */
interface PolicyHead {
  /** The policy alone, for calls that ask no other. */
  readonly policies: readonly [Policy];
  readonly head: string;
  /** With what the keys that belong to no tenant begin with. */
  readonly globalHead: string;
}

/** Turns what a call is given into keys, and refuses what no call can work with before any store is asked. */
export class Targets {
  readonly #heads = new Map<string, PolicyHead>();
  readonly #namespace: string;

  constructor(policies: Readonly<Record<string, Policy>>, namespace: string) {
    this.#namespace = namespace;
    const global = globalPrefix(namespace, 'l');
    for (const [name, policy] of Object.entries(policies)) {
      const head = `${name}:${policy.algorithm.version}`;
      this.#heads.set(name, { policies: [policy], head, globalHead: global + head });
    }
  }

  /** @param call - Named in errors. */
  of(
    call: string,
    names: readonly string[],
    ids: Readonly<Record<string, KeyParts>>,
    { tenant, limits }: Pick<ConsumeOptions, 'tenant' | 'limits'>,
  ): Target {
    if (names.length === 0) throw new ArgumentError(`${call}: give at least one policy`);
    const prefix = tenant === undefined ? undefined : limitPrefix(this.#namespace, tenant);
    let policies: readonly Policy[] = [];
    // An array that grows takes the room of seventeen.
    let keys: readonly string[] = [];
    for (const name of names) {
      const entry = this.#heads.get(name);
      if (entry === undefined) {
        throw new ArgumentError(
          `${call}: no policy ${JSON.stringify(name)}; this limiter has ${[...this.#heads.keys()].join(', ')}`,
        );
      }
      const parts = ids[name];
      if (!Array.isArray(parts) || (parts.length === 0 && tenant === undefined)) {
        throw new ArgumentError(`${call}: ${name}: give the parts of an id, such as [userId]`);
      }
      const head = prefix === undefined ? entry.globalHead : prefix + entry.head;
      const key = head + keyTail(name, parts, head.length);
      keys = names.length === 1 ? [key] : [...keys, key];
      policies = names.length === 1 ? entry.policies : [...policies, entry.policies[0]];
    }
    return { policies: limits === undefined ? policies : this.#limited(call, names, policies, limits), keys };
  }

  #limited(
    call: string,
    names: readonly string[],
    policies: readonly Policy[],
    limits: Readonly<Record<string, number>>,
  ): readonly Policy[] {
    if (typeof limits !== 'object' || limits === null) {
      throw new ArgumentError(`${call}: limits: give an object, such as { ${names[0]}: 600 }`);
    }
    for (const name of Object.keys(limits)) {
      if (!names.includes(name))
        throw new ArgumentError(`${call}: limits: ${JSON.stringify(name)} is not asked`);
    }
    return policies.map((policy, i) => {
      const limit = limits[names[i] as string];
      if (limit === undefined) return policy;
      const logs = policy.algorithm.name === 'slidingWindow' || policy.algorithm.name === 'concurrency';
      const refusal =
        limitRefusal(limit, policy.windowMs) ??
        (logs && limit > mostLogged ? `${limit} is too much; at most ${mostLogged}` : undefined);
      if (refusal !== undefined) throw new ArgumentError(`${call}: limits: ${names[i]}: ${refusal}`);
      return { ...policy, limit };
    });
  }
}

/** @throws ArgumentError `INVALID_ARGUMENT` if `options` is no object or has a member that the call does not take. */
export function assertCallOptions(call: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw new ArgumentError(`${call}: options: give an object with ${known.join(', ')}`);
  }
  for (const option in options) {
    if (!known.includes(option)) {
      throw new ArgumentError(`${call}: unknown option "${option}"; it takes ${known.join(', ')}`);
    }
  }
}

/** @throws ArgumentError `INVALID_ARGUMENT` if the cost is no integer from 1. */
export function checkedCost(call: string, cost: number | undefined): number {
  if (cost === undefined) return 1;
  if (!Number.isSafeInteger(cost) || cost < 1) {
    throw new ArgumentError(`${call}: cost: ${String(cost)} is none; give an integer from 1`);
  }
  return cost;
}
