import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';

/**
 * What of a sorted set by time is over, the time with each: tenants that should be looked at, or processes that are gone.
 *
 * - KEYS: the sorted set
 * - ARGV: most to return, from which time on: `-inf`, a time, or one after `(` that is not meant itself
 * - returns: `[name, time, ...]`
 * - complexity: O(log all + returned)
 */
export const presenceOverdueScript: TypedScript<readonly string[]> = {
  name: 'presence-overdue',
  lua: `${luaClock}
return redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[2], string.format('%.0f', now), 'WITHSCORES', 'LIMIT', 0, ARGV[1])
`,
};
