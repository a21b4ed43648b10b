import type { Algorithm } from './algorithm.ts';
import { boundedLog } from './bounded-log.ts';
import { type Policy, type PolicyOptions, policyOf } from './policy.ts';
import { tokenLog } from './token-log.ts';

/**
 * Never more than `limit` within any stretch of time as long as `window`.
 *
 * Exact, because the instant of every token is kept: 4 bytes each in Redis. So the limit is at most 4,096, and the
 * window at most 24 days; above, take `gcra()`, which keeps one number and lets less than twice the limit pass in a
 * window.
 *
 * Cost: one key, O(log limit) comparisons and at most 16 kB read, and written where the request passes.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if the limit is no integer from 1 to 4,096 or the window no time
 * up to 24 days.
 * @example
 * slidingWindow({ limit: 5, window: '15m' }); // five attempts, and never a sixth within 15 minutes of the first
 */
export function slidingWindow(options: PolicyOptions): Policy {
  return boundedLog('slidingWindow', policyOf('slidingWindow', algorithm, options));
}

const algorithm: Algorithm = tokenLog('slidingWindow', 's1');
