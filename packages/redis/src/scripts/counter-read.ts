import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';

/**
 * What was counted in each bucket of the window.
 *
 * - KEYS: counters
 * - ARGV: length of a bucket in ms, number of buckets
 * - returns: `{when the present bucket began, [number of the bucket, count, ...] of each counter}`; buckets of nothing
 *   are left out, and the present one has the number 0, the one before it 1
 * - complexity: O(counters * buckets)
 */
export const counterReadScript: TypedScript<readonly [began: number, ...buckets: (readonly number[])[]]> = {
  name: 'counter-read',
  lua: `${luaClock}
local size, count = tonumber(ARGV[1]), tonumber(ARGV[2])
local bucket = math.floor(now / size)
local read = {bucket * size}
for i, key in ipairs(KEYS) do
  local found, all = {}, redis.call('HGETALL', key)
  for j = 1, #all, 2 do
    local age = bucket - tonumber(all[j])
    if age < count then
      found[#found + 1] = age
      found[#found + 1] = tonumber(all[j + 1])
    end
  end
  read[i + 1] = found
end
return read
`,
};
