import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';

/** Where a pairing stands: nothing if there is no such one, `[0]` if it was asked too soon. */
export type LookReply =
  | readonly [
      state: 'pending' | 'claimed' | 'confirmed' | 'denied',
      data: string,
      ends: number,
      by: string,
      answer: string,
    ]
  | readonly [0]
  | readonly [];

/**
 * What became of a pairing, for the one who made it.
 *
 * - KEYS: pairing
 * - ARGV: hash of the secret, ms that must have passed since it was last asked so, or 0
 * - returns: `{state, data, ends, who claimed it, answer}`, the last two empty until they are known · `{}` ended or
 *   another's · `{0}` asked too soon
 * - complexity: O(1)
 */
export const pairingLookScript: TypedScript<LookReply> = {
  name: 'pairing-look',
  lua: `${luaClock}
local f = redis.call('HMGET', KEYS[1], 's', 'd', 'e', 'b', 'r', 'h', 'p')
if f[6] ~= ARGV[1] then return {} end
local interval = tonumber(ARGV[2])
if interval > 0 then
  redis.call('HSET', KEYS[1], 'p', string.format('%.0f', now))
  if f[7] and now - tonumber(f[7]) < interval then return {0} end
end
return {f[1], f[2], tonumber(f[3]), f[4] or '', f[5] or ''}
`,
};
