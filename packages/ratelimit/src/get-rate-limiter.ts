import { systemClock } from '@cachekit/core';
import type { LimitStatus } from './decision.ts';
import { assertPolicy } from './known-policy.ts';
import type { RateLimiter } from './limiter.ts';

/** What {@link SimpleRateLimiter.limit} gives. */
export interface LimitResult {
  readonly success: boolean;
  readonly limit: number;
  readonly remaining: number;
  /** When the same request passes, or after a "yes" the whole limit is there again; milliseconds since the epoch. */
  readonly reset: number;
}

/** One policy and one identifier, in the shape of `@upstash/ratelimit`. */
export interface SimpleRateLimiter {
  /** Takes one token of the identifier, if there is one. */
  limit(identifier: string): Promise<LimitResult>;
}

/**
 * One policy of a limiter in the shape that code written for `@upstash/ratelimit` expects, or `null` without a limiter.
 *
 * @param limiter - `undefined` where the application runs without limits.
 * @throws ConfigurationError `INVALID_CONFIGURATION` if the limiter has no such policy.
 * @example
 * const simple = getRateLimiter(limiter, 'api');
 * const { success } = (await simple?.limit('user-7')) ?? { success: true };
 */
export function getRateLimiter<Name extends string>(
  limiter: RateLimiter<Name> | undefined,
  policy: Name,
): SimpleRateLimiter | null {
  if (limiter === undefined) return null;
  assertPolicy('getRateLimiter', limiter as unknown as RateLimiter, policy);
  return {
    async limit(identifier) {
      const { allowed, limits } = await limiter.consume({ [policy]: [identifier] } as Record<Name, string[]>);
      const { limit, remaining, resetMs, retryAfterMs } = limits[policy] as LimitStatus;
      return {
        success: allowed,
        limit,
        remaining: remaining ?? (allowed ? limit : 0),
        reset: systemClock.now() + (allowed ? (resetMs ?? 0) : retryAfterMs),
      };
    },
  };
}
