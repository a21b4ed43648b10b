import type { TypedScript } from '../script.ts';

/**
 * Counts an attempt before it is made, so that those made at the same time are counted too.
 *
 * - KEYS: attempts
 * - ARGV: how many are allowed, in how many ms from the first
 * - returns: 0 it may be made · ms until the next may be
 * - complexity: O(1)
 */
export const pairingAttemptScript: TypedScript<number> = {
  name: 'pairing-attempt',
  lua: `
local key, window = KEYS[1], tonumber(ARGV[2])
local left = redis.call('PTTL', key)
if left > 0 and tonumber(redis.call('GET', key)) >= tonumber(ARGV[1]) then return left end
if left > 0 then redis.call('INCR', key) else redis.call('SET', key, 1, 'PX', window) end
return 0
`,
};
