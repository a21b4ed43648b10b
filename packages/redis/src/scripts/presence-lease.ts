import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';
import { luaRoom } from './presence-room.ts';

/**
 * Says that a process lives.
 *
 * - KEYS: processes by the time at which each must be taken for dead
 * - ARGV: process, for how many ms
 * - returns: 1 it was not known: others may have taken it for dead meanwhile · 0 it was
 * - complexity: O(log processes)
 */
export const presenceLeaseScript: TypedScript<0 | 1> = {
  name: 'presence-lease',
  lua: `${luaClock}${luaRoom}
local lease = tonumber(ARGV[2])
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
if known then noMore(KEYS[1]) end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + lease), ARGV[1])
-- The others sweep those who are gone; if there are none, the set goes with the last.
redis.call('PEXPIRE', KEYS[1], math.max(86400000, lease * 2))
return known and 0 or 1
`,
};
