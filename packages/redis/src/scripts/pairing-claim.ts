import type { TypedScript } from '../script.ts';

/**
 * Claims a pairing for the first who asks.
 *
 * - KEYS: pairing, which is the channel too
 * - ARGV: who claims
 * - returns: `{1, data, ends}` claimed now · `{2, data, ends}` was claimed by the same · `{0}` by another · `{}` unknown
 * - complexity: O(1)
 */
export const pairingClaimScript: TypedScript<
  readonly [1 | 2, data: string, ends: number] | readonly [0] | readonly []
> = {
  name: 'pairing-claim',
  lua: `
local f = redis.call('HMGET', KEYS[1], 's', 'b', 'd', 'e')
if not f[1] then return {} end
if f[1] == 'pending' then
  redis.call('HSET', KEYS[1], 's', 'claimed', 'b', ARGV[1])
  redis.call('PUBLISH', KEYS[1], 'claimed')
  return {1, f[3], tonumber(f[4])}
end
if f[2] == ARGV[1] then return {2, f[3], tonumber(f[4])} end
return {0}
`,
};
