import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';
import { luaLock } from './lock-fragments.ts';

/**
 * Holds a lock for longer.
 *
 * - KEYS: holders, queue, meta
 * - ARGV: token, ttl in ms
 * - returns: 1 it is held until then · 0 it was no longer held
 * - complexity: O(log permits)
 */
export const lockExtendScript: TypedScript<0 | 1> = {
  name: 'lock-extend',
  lua: `${luaClock}${luaLock}
local token, ttl = ARGV[1], tonumber(ARGV[2])
if not holds(token) then return 0 end
-- First what a server without memory allows, so that it allows the other, too: it takes no more than before.
redis.call('PEXPIRE', holders, math.max(ttl, redis.call('PTTL', holders)))
redis.call('ZADD', holders, now + ttl, token)
remember(ttl)
return 1
`,
};
