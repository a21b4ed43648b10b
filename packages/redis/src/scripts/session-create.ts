import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';

/**
 * Begins a session.
 *
 * - KEYS: session, sessions of the user
 * - ARGV: data, user, how long it lives unseen in ms, how long at most in ms, handle
 * - returns: `{time, how many are listed}`, those that were not used for too long among them · `{0}` the handle is taken
 * - complexity: O(log sessions of the user + expired)
 */
export const sessionCreateScript: TypedScript<[now: number, listed: number] | [0]> = {
  name: 'session-create',
  lua: `${luaClock}
local key, index, idle, most = KEYS[1], KEYS[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if redis.call('EXISTS', key) == 1 then return {0} end
local at, ends = string.format('%.0f', now), string.format('%.0f', now + most)
redis.call('HSET', key, 'd', ARGV[1], 'v', 1, 'c', at, 's', at, 'u', ARGV[2], 'e', ends)
redis.call('PEXPIRE', key, math.min(idle, most))
redis.call('ZREMRANGEBYSCORE', index, '-inf', now)
redis.call('ZADD', index, ends, ARGV[5])
if redis.call('PTTL', index) < most then redis.call('PEXPIRE', index, most) end
return {now, redis.call('ZCARD', index)}
`,
};
