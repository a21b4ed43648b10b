import { ConfigurationError, systemClock } from '@cachekit/core';
import type { Decision, LimitStatus } from '../decision.ts';
import type { RateLimiter } from '../limiter.ts';

/** How express-rate-limit is told what it counted. */
export interface ExpressHits {
  totalHits: number;
  resetTime: Date | undefined;
}

/** The `Store` of express-rate-limit, 6 and later. */
export interface ExpressRateLimitStore {
  localKeys: boolean;
  /** What was counted, without counting. */
  get(key: string): Promise<ExpressHits | undefined>;
  /** Counts one request, if it fits. */
  increment(key: string): Promise<ExpressHits>;
  /** Gives one request back. */
  decrement(key: string): Promise<void>;
  /** Forgets what was counted. */
  resetKey(key: string): Promise<void>;
}

/**
 * Counts for the middleware of express-rate-limit in one policy of a limiter.
 *
 * Give the middleware the same `limit` as the policy. A request that the policy denies counts one more than the limit, and
 * what it denied takes nothing: who goes on asking is not kept out for longer.
 *
 * @param policy - The name of the policy.
 * @throws ConfigurationError `INVALID_CONFIGURATION` if the limiter has no such policy.
 * @example
 * app.use(expressRateLimit({ limit: 60, store: rateLimitStore(limiter, 'api') }));
 */
export function rateLimitStore<Name extends string>(
  limiter: RateLimiter<Name>,
  policy: Name,
): ExpressRateLimitStore {
  if (!Object.hasOwn(limiter.policies, policy)) {
    throw new ConfigurationError(
      `rateLimitStore: no policy ${JSON.stringify(policy)}; the limiter has ${Object.keys(limiter.policies).join(', ')}`,
    );
  }
  const idsOf = (key: string): Record<Name, string[]> => ({ [policy]: [key] }) as Record<Name, string[]>;
  return {
    localKeys: false,
    async get(key) {
      const decision = await limiter.peek(idsOf(key));
      return hitsOf(decision, policy, 0);
    },
    async increment(key) {
      const decision = await limiter.consume(idsOf(key));
      return hitsOf(decision, policy, decision.allowed ? 0 : 1);
    },
    async decrement(key) {
      await limiter.refund(idsOf(key));
    },
    async resetKey(key) {
      await limiter.reset(idsOf(key));
    },
  };
}

function hitsOf(decision: Decision, policy: string, more: number): ExpressHits {
  const { limit, remaining, resetMs, retryAfterMs } = decision.limits[policy] as LimitStatus;
  // When nobody could count, what was decided stands for a count.
  const taken =
    remaining === undefined ? (decision.allowed ? 1 : limit) : decision.allowed ? limit - remaining : limit;
  const inMs = decision.allowed ? resetMs : retryAfterMs;
  const resetTime = inMs === undefined || !Number.isFinite(inMs) ? undefined : inFuture(inMs);
  return { totalHits: taken + more, resetTime };
}

/** The middleware compares it with the clock of this machine, so it is made from that. */
function inFuture(ms: number): Date {
  return new Date(systemClock.now() + ms);
}
