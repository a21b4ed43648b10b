import type { RedisScript } from '@cachekit/core';
import { luaClock } from './fragments.ts';

/**
 * Notes that a member is here, and drops those that have not been seen for too long.
 *
 * - KEYS: the members of a tenant, a sorted set by the time (ms) at which each drops out
 * - ARGV: member, how long it stays after it was seen, in ms
 * - returns: 1 it was away · 0 it was here already
 * - complexity: O(log members + dropped)
 */
export const presenceSeenScript: RedisScript = {
  name: 'presence-seen',
  lua: `${luaClock}
local key, member, ttl = KEYS[1], ARGV[1], tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
local came = redis.call('ZADD', key, now + ttl, member)
-- Another process may keep its members longer.
if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, ttl) end
return came
`,
};
