import { type Policy, type PolicyOptions, policyOf } from '../policy.ts';
import type { Algorithm, LimitState, Rule, Step } from './algorithm.ts';

/**
 * Generic cell rate algorithm: a token bucket that keeps one number per key.
 *
 * The whole limit may come at once; then one token comes back every `window / limit`. There is no window edge at
 * which twice the limit passes at once, but a full bucket and what flows back may pass within one window: at most
 * `limit` at any instant, less than twice the limit in any window.
 *
 * The number is the instant at which the bucket is full again (the theoretical arrival time). In Redis it is the
 * expiry of the key itself, so time is the server's and an unused bucket costs nothing. What a whole millisecond
 * cannot say is kept as the value, so that nothing is ever rounded.
 *
 * Cost: one key, O(1).
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if the limit is no integer from 1 or the window no time.
 * @see ITU-T I.371 annex A (GCRA)
 * @example
 * gcra({ limit: 60, window: '1m' }); // 60 at once, then one every second
 */
export function gcra(options: PolicyOptions): Policy {
  return policyOf('gcra', algorithm, options);
}

// Debt is counted in 1/limit of a millisecond: a token is `windowMs` of these and a full window `windowMs * limit`,
// all integers. `value` is what the expiry, a whole millisecond, is too late by.
const algorithm: Algorithm = {
  name: 'gcra',
  version: 'g1',
  next(state: LimitState | undefined, { limit, windowMs }: Rule, cost: number, now: number): Step {
    const leftMs = state === undefined ? 0 : Math.min(state.expiresAt - now, windowMs);
    const late = state !== undefined && windowMs % limit !== 0 ? state.value : 0;
    const debt = leftMs > 0 ? leftMs * limit - (late >= 0 && late < limit ? late : 0) : 0;
    const full = windowMs * limit;
    const retryAfterMs =
      cost > limit
        ? Number.POSITIVE_INFINITY
        : Math.max(0, Math.ceil((debt + cost * windowMs - full) / limit));
    const total = retryAfterMs === 0 ? debt + cost * windowMs : debt;
    const resetMs = Math.ceil(total / limit);
    return {
      fits: retryAfterMs === 0,
      expiresAt: now + resetMs,
      value: resetMs * limit - total,
      remaining: Math.floor((full - total) / windowMs),
      retryAfterMs,
      resetMs,
    };
  },
  lua: `
    local late = 0
    if window % limit ~= 0 then
      late = math.floor(tonumber(redis.pcall('GET', key)) or 0)
      if not (late >= 0 and late < limit) then late = 0 end
    end
    local debt = 0
    if ttl > 0 then debt = ttl * limit - late end
    if cost > limit or debt + cost * window > window * limit then return late end
    local total = debt + cost * window
    local reset = math.ceil(total / limit)
    return late, reset, reset * limit - total`,
};
