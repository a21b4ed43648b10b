import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';

/**
 * Begins a pairing.
 *
 * A pairing is a hash: `d` data, `h` hash of the secret, `e` when it ends in ms, `s` state, `b` who claimed it, `r` what
 * was answered, `p` when its state was last asked for.
 *
 * - KEYS: pairing
 * - ARGV: data, hash of the secret, life in ms
 * - returns: when it ends · 0 the code is taken
 * - complexity: O(1)
 */
export const pairingCreateScript: TypedScript<number> = {
  name: 'pairing-create',
  lua: `${luaClock}
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local ends = now + tonumber(ARGV[3])
redis.call('HSET', KEYS[1], 'd', ARGV[1], 'h', ARGV[2], 'e', string.format('%.0f', ends), 's', 'pending')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return ends
`,
};
