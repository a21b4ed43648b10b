import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';

/**
 * Adds to a counter.
 *
 * A counter is a hash of how much was counted in each bucket, by the number of the bucket since the epoch. What is over
 * is dropped when a bucket begins.
 *
 * - KEYS: counter
 * - ARGV: amount, length of a bucket in ms, number of buckets
 * - returns: what was counted in this bucket
 * - complexity: O(1); O(buckets) once per bucket
 */
export const counterAddScript: TypedScript<number> = {
  name: 'counter-add',
  lua: `${luaClock}
local key, amount, size, count = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local bucket = math.floor(now / size)
local field = string.format('%.0f', bucket)
if redis.call('HEXISTS', key, field) == 0 then
  for _, other in ipairs(redis.call('HKEYS', key)) do
    if tonumber(other) <= bucket - count then redis.call('HDEL', key, other) end
  end
end
local counted = redis.call('HINCRBY', key, field, amount)
-- Until the last of it is over.
redis.call('PEXPIRE', key, (bucket + count) * size - now)
return counted
`,
};
