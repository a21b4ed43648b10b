import type { Policy } from './algorithms/policy.ts';
import type { RateLimitStoreError } from './errors.ts';
import type { PolicyAnswer } from './stores/store.ts';

/**
 * Who decided.
 *
 * | source       | decided by                                                                             |
 * | ------------ | -------------------------------------------------------------------------------------- |
 * | `redis`      | Redis, for all processes together                                                      |
 * | `memory`     | this process, because its store is `memoryStore()`                                     |
 * | `deny-cache` | this process, because Redis said no, and nothing but giving back can have changed that |
 * | `local`      | this process, because the store was unavailable and `onUnavailable` is `'local'`       |
 * | `open`       | nobody: the store was unavailable and `onUnavailable` is `'open'`, so it is allowed     |
 * | `closed`     | nobody: the store was unavailable and `onUnavailable` is `'closed'`, so it is denied    |
 * | `allow`      | your `allow`: nothing was counted                                                      |
 * | `deny`       | your `deny`: nothing was counted                                                       |
 */
export type DecisionSource =
  | 'redis'
  | 'memory'
  | 'deny-cache'
  | 'local'
  | 'open'
  | 'closed'
  | 'allow'
  | 'deny';

/**
 * Why a request was denied.
 *
 * | reason               |                                                                |
 * | -------------------- | -------------------------------------------------------------- |
 * | `limit`              | the cost does not fit now                                      |
 * | `cost-exceeds-limit` | the cost is above the limit, so it can never pass               |
 * | `blocked`            | somebody called `block()`; see `blocked` of the policy         |
 * | `unavailable`        | nobody could count, and `onUnavailable` is `'closed'`           |
 * | `denied`             | your `deny` said so                                            |
 */
export type DenialReason = 'limit' | 'cost-exceeds-limit' | 'blocked' | 'unavailable' | 'denied';

/** How one policy stands after a decision. */
export interface LimitStatus {
  readonly limit: number;
  readonly windowMs: number;
  /** Tokens left; `undefined` if this policy was not asked, because nobody could count or another said no before. */
  readonly remaining: number | undefined;
  /** Time until the whole limit is there again; `undefined` as above. */
  readonly resetMs: number | undefined;
  /** Time until this policy lets the same cost pass; 0 if it would now, `Infinity` if the cost is above the limit. */
  readonly retryAfterMs: number;
  /** What `block()` was given as the reason, if the key is blocked. */
  readonly blocked?: string;
  /** Whether the policy counts requests, or how many are under way at the same time. */
  readonly unit?: 'concurrent-requests';
}

/** The answer to one request. Times are durations, so no clock has to agree with another. */
export interface Decision<Name extends string = string> {
  readonly allowed: boolean;
  /** Every policy that was asked. */
  readonly limits: Readonly<Record<Name, LimitStatus>>;
  /**
   * Waiting exactly so long lets the same request pass, if no other takes anything meanwhile. 0 if it was allowed,
   * `Infinity` if it can never pass.
   */
  readonly retryAfterMs: number;
  /** The policies that said no. Nothing was taken from any policy then. */
  readonly violated: readonly Name[];
  /** The shadow policies that would have said no. */
  readonly shadowed: readonly Name[];
  /** Absent if the request was allowed. */
  readonly reason?: DenialReason;
  readonly source: DecisionSource;
  /**
   * Whether all policies were asked at the same instant. If not, because their keys are in several slots of a Redis Cluster,
   * what was taken before a policy said no was given back.
   */
  readonly atomic: boolean;
  /** Why the store did not decide; absent if it did. */
  readonly unavailable?: RateLimitStoreError;
}

// Shared, because most decisions have none.
const nobody: readonly never[] = Object.freeze([]);

// What a caller is told to wait for when nobody could count.
const closedRetryMs = 1_000;

/** The decision that the steps of all policies make. */
export function decide<Name extends string>(
  names: readonly Name[],
  policies: readonly Policy[],
  steps: readonly PolicyAnswer[],
  cost: number,
  source: DecisionSource,
  atomic: boolean,
  unavailable?: RateLimitStoreError,
): Decision<Name> {
  const limits = {} as Record<Name, LimitStatus>;
  let violated: readonly Name[] = nobody;
  let shadowed: readonly Name[] = nobody;
  let retryAfterMs = 0;
  let reason: DenialReason = 'limit';
  for (let i = 0; i < names.length; i++) {
    const name = names[i] as Name;
    const policy = policies[i] as Policy;
    const step = steps[i] as PolicyAnswer;
    limits[name] = statusOf(policy, step);
    if (step.fits) continue;
    if (policy.shadow) {
      shadowed = [...shadowed, name];
      continue;
    }
    violated = [...violated, name];
    retryAfterMs = Math.max(retryAfterMs, step.retryAfterMs);
    if (cost > policy.limit) reason = 'cost-exceeds-limit';
    else if (step.blocked !== undefined && reason === 'limit') reason = 'blocked';
  }
  // Written out, because this runs for every request and spreading costs as much as all the rest.
  if (violated.length === 0) {
    return unavailable === undefined
      ? { allowed: true, limits, retryAfterMs, violated, shadowed, source, atomic }
      : { allowed: true, limits, retryAfterMs, violated, shadowed, source, atomic, unavailable };
  }
  return unavailable === undefined
    ? { allowed: false, limits, retryAfterMs, violated, shadowed, reason, source, atomic }
    : { allowed: false, limits, retryAfterMs, violated, shadowed, reason, source, atomic, unavailable };
}

/** The decision when nobody counted. */
export function decideBlindly<Name extends string>(
  names: readonly Name[],
  policies: readonly Policy[],
  source: 'open' | 'closed' | 'allow' | 'deny',
  unavailable?: RateLimitStoreError,
): Decision<Name> {
  const allowed = source === 'open' || source === 'allow';
  const retryAfterMs = source === 'closed' ? closedRetryMs : allowed ? 0 : Number.POSITIVE_INFINITY;
  const limits = {} as Record<Name, LimitStatus>;
  for (let i = 0; i < names.length; i++) {
    const { limit, windowMs } = policies[i] as Policy;
    limits[names[i] as Name] = { limit, windowMs, remaining: undefined, resetMs: undefined, retryAfterMs };
  }
  const decision = { allowed, limits, retryAfterMs, violated: [], shadowed: [], source, atomic: true };
  const reason = source === 'closed' ? 'unavailable' : 'denied';
  if (unavailable === undefined) return allowed ? decision : { ...decision, reason };
  return allowed ? { ...decision, unavailable } : { ...decision, reason, unavailable };
}

function statusOf(policy: Policy, step: PolicyAnswer): LimitStatus {
  const { limit, windowMs } = policy;
  const { remaining, resetMs, retryAfterMs, blocked } = step;
  if (policy.algorithm.name !== 'concurrency') {
    if (blocked === undefined) return { limit, windowMs, remaining, resetMs, retryAfterMs };
    return { limit, windowMs, remaining, resetMs, retryAfterMs, blocked };
  }
  const status = { limit, windowMs, remaining, resetMs, retryAfterMs, unit: 'concurrent-requests' as const };
  return blocked === undefined ? status : { ...status, blocked };
}
