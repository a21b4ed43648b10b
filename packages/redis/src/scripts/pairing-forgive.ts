import type { TypedScript } from '../script.ts';

/**
 * Takes one attempt back, because it was right.
 *
 * - KEYS: attempts
 * - ARGV: none
 * - returns: 0
 * - complexity: O(1)
 */
export const pairingForgiveScript: TypedScript<0> = {
  name: 'pairing-forgive',
  lua: `
local count = tonumber(redis.call('GET', KEYS[1]) or 0)
if count > 1 then redis.call('DECR', KEYS[1]) elseif count == 1 then redis.call('DEL', KEYS[1]) end
return 0
`,
};
