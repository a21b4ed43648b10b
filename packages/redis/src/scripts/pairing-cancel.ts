import type { TypedScript } from '../script.ts';

/**
 * Ends a pairing for the one who made it.
 *
 * - KEYS: pairing, which is the channel too
 * - ARGV: hash of the secret
 * - returns: 1 there was one · 0 there was none
 * - complexity: O(1)
 */
export const pairingCancelScript: TypedScript<0 | 1> = {
  name: 'pairing-cancel',
  lua: `
if redis.call('HGET', KEYS[1], 'h') ~= ARGV[1] then return 0 end
redis.call('PUBLISH', KEYS[1], 'ended')
return redis.call('DEL', KEYS[1])
`,
};
