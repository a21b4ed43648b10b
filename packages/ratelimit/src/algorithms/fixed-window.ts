import { type Policy, type PolicyOptions, policyOf } from '../policy.ts';
import type { Algorithm, LimitState, Rule, Step } from './algorithm.ts';

/**
 * Counts in windows that begin with the first request and end `window` later, whatever comes meanwhile.
 *
 * Never more than `limit` in one window; around the end of a window up to twice the limit may pass within a time
 * shorter than the window. Where that matters, take {@link gcra}.
 *
 * Cost: one key, O(1).
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if the limit is no integer from 1 or the window no time.
 * @example
 * fixedWindow({ limit: 10, window: '60s' }); // ten commands, and again ten 60 s after the first of them
 */
export function fixedWindow(options: PolicyOptions): Policy {
  return policyOf('fixedWindow', algorithm, options);
}

// `expiresAt` is the end of the window, `value` what was taken in it.
const algorithm: Algorithm = {
  name: 'fixedWindow',
  version: 'f1',
  next(state: LimitState | undefined, { limit, windowMs }: Rule, cost: number, now: number): Step {
    const leftMs = state === undefined ? 0 : Math.min(state.expiresAt - now, windowMs);
    const open = state !== undefined && leftMs > 0;
    const taken = open ? state.value : 0;
    const fits = cost <= limit - taken;
    const total = fits ? taken + cost : taken;
    const resetMs = open ? leftMs : total > 0 ? windowMs : 0;
    return {
      fits,
      expiresAt: now + resetMs,
      value: total,
      remaining: Math.max(0, limit - total),
      retryAfterMs: fits ? 0 : cost > limit ? Number.POSITIVE_INFINITY : leftMs,
      resetMs,
    };
  },
  lua: `
    local taken = 0
    if ttl > 0 then
      taken = math.floor(tonumber(redis.pcall('GET', key)) or 0)
      if not (taken >= 0 and taken < 9007199254740992) then taken = 0 end
    end
    if cost > limit - taken then return taken end
    if ttl > 0 then return taken, 0, taken + cost end
    return taken, window, cost`,
};
