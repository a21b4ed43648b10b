import type { Duration } from '@cachekit/core';
import type { Decision, LimitStatus } from '../decision.ts';
import type { RateLimitFields } from './headers.ts';

/** How a middleware answers. */
export interface AnswerOptions {
  /** @defaultValue `'both'` */
  fields?: RateLimitFields;
  /**
   * Every time that a client is told is later by up to this, at random, so that those who wait for the same instant,
   * such as the end of a `quota()`, do not come back together. See {@link spreadTimes}.
   * @defaultValue `0`
   */
  spread?: Duration;
}

/**
 * The same decision with all its times later, by one random time up to `spreadMs`.
 *
 * Waiting as long as it says still lets the same request pass. What can never pass still never can.
 *
 * @param random - Gives numbers from 0 to 1.
 * @see draft-ietf-httpapi-ratelimit-headers-11, "Resource exhaustion"
 * @example
 * const { status, headers, body } = tooManyRequests(spreadTimes(decision, 10_000));
 */
export function spreadTimes<Name extends string>(
  decision: Decision<Name>,
  spreadMs: number,
  random: () => number = Math.random,
): Decision<Name> {
  const laterMs = Math.ceil(spreadMs * random());
  if (laterMs === 0) return decision;
  const limits = {} as Record<Name, LimitStatus>;
  for (const name in decision.limits) {
    const status = decision.limits[name];
    const { resetMs, retryAfterMs } = status;
    limits[name] = {
      ...status,
      resetMs: resetMs && resetMs + laterMs,
      retryAfterMs: retryAfterMs && retryAfterMs + laterMs,
    };
  }
  const { retryAfterMs } = decision;
  return { ...decision, limits, retryAfterMs: retryAfterMs && retryAfterMs + laterMs };
}
