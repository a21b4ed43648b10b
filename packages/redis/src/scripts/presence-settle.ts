import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';
import { forgottenMs } from './presence-due.ts';
import { luaRoom } from './presence-room.ts';

/**
 * Notes when a name of a sorted set by time is due next, unless somebody has noted another time meanwhile.
 *
 * - KEYS: the sorted set
 * - ARGV: name, time that was read, next time or 0: never
 * - returns: 1 it is noted · 0 somebody was faster
 * - complexity: O(log all)
 */
export const presenceSettleScript: TypedScript<0 | 1> = {
  name: 'presence-settle',
  lua: `${luaClock}${luaRoom}
local before = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not before or tonumber(before) ~= tonumber(ARGV[2]) then return 0 end
if ARGV[3] == '0' then return redis.call('ZREM', KEYS[1], ARGV[1]) end
noMore(KEYS[1])
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], math.max(redis.call('PTTL', KEYS[1]), tonumber(ARGV[3]) - now + ${forgottenMs}))
return 1
`,
};
