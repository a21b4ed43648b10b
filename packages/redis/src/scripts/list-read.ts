import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';

/**
 * The last elements of a list that are not too old.
 *
 * - KEYS: list
 * - ARGV: how many at most, for how many ms one is kept
 * - returns: elements with their time, the last one first
 * - complexity: O(returned)
 */
export const listReadScript: TypedScript<readonly string[]> = {
  name: 'list-read',
  lua: `${luaClock}
local found, all = {}, redis.call('LRANGE', KEYS[1], -tonumber(ARGV[1]), -1)
for i = #all, 1, -1 do
  local at = tonumber(string.match(all[i], '^%d+'))
  if not at or at <= now - tonumber(ARGV[2]) then break end
  found[#found + 1] = all[i]
end
return found
`,
};
