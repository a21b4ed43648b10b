import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';
import { luaRoom } from './presence-room.ts';

/** Tenants that nobody has swept for this long are forgotten: nobody listens. */
export const forgottenMs = 86_400_000;

/**
 * Notes when a tenant should be looked at.
 *
 * The time is another one than before in any case, so that whoever is about to forget the tenant sees that he must not.
 *
 * - KEYS: tenants by that time
 * - ARGV: tenant, in how many ms at the latest
 * - returns: 0
 * - complexity: O(log tenants + forgotten)
 */
export const presenceDueScript: TypedScript<0> = {
  name: 'presence-due',
  lua: `${luaClock}${luaRoom}
local key, tenant, due = KEYS[1], ARGV[1], now + tonumber(ARGV[2])
local before = redis.call('ZSCORE', key, tenant)
if before then
  noMore(key)
  due = math.min(due, tonumber(before) - 1)
end
redis.call('ZADD', key, string.format('%.0f', due), tenant)
redis.call('ZREMRANGEBYSCORE', key, '-inf', now - ${forgottenMs})
redis.call('PEXPIRE', key, math.max(redis.call('PTTL', key), tonumber(ARGV[2]) + ${forgottenMs}))
return 0
`,
};
