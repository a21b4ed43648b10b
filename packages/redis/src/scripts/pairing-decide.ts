import type { TypedScript } from '../script.ts';

/**
 * Confirms or denies what was claimed, once.
 *
 * - KEYS: pairing, which is the channel too
 * - ARGV: who claimed it, `confirmed` or `denied`, answer
 * - returns: 1 it is as asked · 0 it was decided otherwise, claimed by another or by nobody, or has ended
 * - complexity: O(1)
 */
export const pairingDecideScript: TypedScript<0 | 1> = {
  name: 'pairing-decide',
  lua: `
local f = redis.call('HMGET', KEYS[1], 's', 'b')
if f[2] ~= ARGV[1] then return 0 end
if f[1] == 'claimed' then
  redis.call('HSET', KEYS[1], 's', ARGV[2], 'r', ARGV[3])
  redis.call('PUBLISH', KEYS[1], ARGV[2])
  return 1
end
return f[1] == ARGV[2] and 1 or 0
`,
};
