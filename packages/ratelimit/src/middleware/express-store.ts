import { systemClock } from '@cachekit/core';
import type { Decision, LimitStatus } from '../decision.ts';
import { assertPolicy } from '../known-policy.ts';
import type { RateLimiter } from '../limiter.ts';

/** How express-rate-limit is told what it counted. */
export interface ExpressHits {
  totalHits: number;
  resetTime: Date | undefined;
}

/** What is used of the options of the middleware of express-rate-limit. */
export interface ExpressMiddlewareOptions {
  readonly limit?: unknown;
  readonly skipFailedRequests?: boolean;
}

/** The `Store` of express-rate-limit, 6 and later. */
export interface ExpressRateLimitStore {
  localKeys: boolean;
  /** Is told how the middleware was made. */
  init(options: ExpressMiddlewareOptions): void;
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
 * what it denied takes nothing: who goes on asking is not kept out for longer, and with `skipFailedRequests` nothing
 * comes back for it.
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
  assertPolicy('rateLimitStore', limiter as unknown as RateLimiter, policy);
  // What the middleware gives back for requests that were denied, though they took nothing.
  const denied = new Map<string, { count: number; until: number }>();
  let refundsDenied = false;
  let leastLimit = 0;
  const idsOf = (key: string): Record<Name, string[]> => ({ [policy]: [key] }) as Record<Name, string[]>;
  return {
    localKeys: false,
    init({ limit, skipFailedRequests }) {
      refundsDenied = skipFailedRequests === true;
      leastLimit = typeof limit === 'number' ? limit : 0;
    },
    async get(key) {
      return hitsOf(await limiter.peek(idsOf(key)), policy);
    },
    async increment(key) {
      const decision = await limiter.consume(idsOf(key));
      const hits = hitsOf(decision, policy);
      if (decision.allowed) return hits;
      if (refundsDenied) remember(denied, key, hits.resetTime);
      return { ...hits, totalHits: Math.max(hits.totalHits, leastLimit) + 1 };
    },
    async decrement(key) {
      if (!recall(denied, key)) await limiter.refund(idsOf(key));
    },
    async resetKey(key) {
      denied.delete(key);
      await limiter.reset(idsOf(key));
    },
  };
}

const mostDenied = 10_000;

function remember(
  denied: Map<string, { count: number; until: number }>,
  key: string,
  resetTime: Date | undefined,
): void {
  const count = (denied.get(key)?.count ?? 0) + 1;
  denied.delete(key);
  if (denied.size >= mostDenied) denied.delete(denied.keys().next().value as string);
  // The middleware gives nothing back after that.
  denied.set(key, { count, until: resetTime?.getTime() ?? Number.POSITIVE_INFINITY });
}

/** Whether one of those who are given back was denied. */
function recall(denied: Map<string, { count: number; until: number }>, key: string): boolean {
  const found = denied.get(key);
  if (found === undefined) return false;
  if (--found.count === 0) denied.delete(key);
  return systemClock.now() < found.until;
}

function hitsOf(decision: Decision, policy: string): ExpressHits {
  const { limit, remaining, resetMs, retryAfterMs } = decision.limits[policy] as LimitStatus;
  // When nobody could count, what was decided stands for a count.
  const taken =
    remaining === undefined ? (decision.allowed ? 1 : limit) : decision.allowed ? limit - remaining : limit;
  const inMs = decision.allowed ? resetMs : retryAfterMs;
  const resetTime = inMs === undefined || !Number.isFinite(inMs) ? undefined : inFuture(inMs);
  return { totalHits: taken, resetTime };
}

/** The middleware compares it with the clock of this machine, so it is made from that. */
function inFuture(ms: number): Date {
  return new Date(systemClock.now() + ms);
}
