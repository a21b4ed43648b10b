import type { Step } from './algorithms/algorithm.ts';
import type { RateLimitStoreError } from './errors.ts';
import type { Policy } from './policy.ts';

/**
 * Who decided.
 *
 * | source   | decided by                                                                             |
 * | -------- | -------------------------------------------------------------------------------------- |
 * | `redis`  | Redis, for all processes together                                                      |
 * | `memory` | this process, because its store is `memoryStore()`                                     |
 * | `local`  | this process, because the store was unavailable and `onUnavailable` is `'local'`       |
 * | `open`   | nobody: the store was unavailable and `onUnavailable` is `'open'`, so it is allowed     |
 * | `closed` | nobody: the store was unavailable and `onUnavailable` is `'closed'`, so it is denied    |
 */
export type DecisionSource = 'redis' | 'memory' | 'local' | 'open' | 'closed';

/** How one policy stands after a decision. */
export interface LimitStatus {
  readonly limit: number;
  readonly windowMs: number;
  /** Tokens left; `undefined` if nobody counted (source `open` or `closed`). */
  readonly remaining: number | undefined;
  /** Time until the whole limit is there again; `undefined` if nobody counted. */
  readonly resetMs: number | undefined;
  /** Time until this policy lets the same cost pass; 0 if it would now, `Infinity` if the cost is above the limit. */
  readonly retryAfterMs: number;
}

/** The answer to one request. Times are durations, so no clock has to agree with another. */
export interface Decision<Name extends string = string> {
  readonly allowed: boolean;
  /** Every policy that was asked. */
  readonly limits: Readonly<Record<Name, LimitStatus>>;
  /**
   * Waiting exactly so long lets the same request pass, if no other takes anything meanwhile. 0 if it was allowed,
   * `Infinity` if its cost is above a limit and it can never pass.
   */
  readonly retryAfterMs: number;
  /** The policies that said no. Nothing was taken from any policy then. */
  readonly violated: readonly Name[];
  readonly source: DecisionSource;
  /** Why the store did not decide; absent if it did. */
  readonly unavailable?: RateLimitStoreError;
}

// What a caller is told to wait for when nobody could count.
const closedRetryMs = 1_000;

/** The decision that the steps of all policies make. */
export function decide<Name extends string>(
  names: readonly Name[],
  policies: readonly Policy[],
  steps: readonly Step[],
  source: DecisionSource,
  unavailable?: RateLimitStoreError,
): Decision<Name> {
  const limits = {} as Record<Name, LimitStatus>;
  const violated: Name[] = [];
  let retryAfterMs = 0;
  for (let i = 0; i < names.length; i++) {
    const name = names[i] as Name;
    const step = steps[i] as Step;
    limits[name] = status(policies[i] as Policy, step.remaining, step.resetMs, step.retryAfterMs);
    if (!step.fits) {
      violated.push(name);
      retryAfterMs = Math.max(retryAfterMs, step.retryAfterMs);
    }
  }
  const allowed = violated.length === 0;
  if (unavailable === undefined) return { allowed, limits, retryAfterMs, violated, source };
  return { allowed, limits, retryAfterMs, violated, source, unavailable };
}

/** The decision when nobody could count. */
export function decideBlindly<Name extends string>(
  names: readonly Name[],
  policies: readonly Policy[],
  source: 'open' | 'closed',
  unavailable: RateLimitStoreError,
): Decision<Name> {
  const retryAfterMs = source === 'closed' ? closedRetryMs : 0;
  const limits = {} as Record<Name, LimitStatus>;
  for (let i = 0; i < names.length; i++) {
    limits[names[i] as Name] = status(policies[i] as Policy, undefined, undefined, retryAfterMs);
  }
  return { allowed: source === 'open', limits, retryAfterMs, violated: [], source, unavailable };
}

function status(
  { limit, windowMs }: Policy,
  remaining: number | undefined,
  resetMs: number | undefined,
  retryAfterMs: number,
): LimitStatus {
  return { limit, windowMs, remaining, resetMs, retryAfterMs };
}
