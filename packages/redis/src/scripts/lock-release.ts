import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';
import { luaLock } from './lock-fragments.ts';

/**
 * Gives a lock, or a place in the queue, back, and hands over what is free.
 *
 * - KEYS: holders, queue, meta
 * - ARGV: token, permits, prefix of the channels of those who wait, 1 if the server knows whether a channel is heard
 * - returns: 1 it was held · 0 it was not
 * - complexity: O(log waiting + handed over)
 */
export const lockReleaseScript: TypedScript<0 | 1> = {
  name: 'lock-release',
  lua: `${luaClock}${luaLock}
local token = ARGV[1]
local held = holds(token)
redis.call('ZREM', holders, token)
if redis.call('EXISTS', queue) == 1 then
  leave(token)
  handOver(tonumber(ARGV[2]), '', ARGV[3], ARGV[4] == '1')
end
return held and 1 or 0
`,
};
