import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';
import { luaPresence } from './presence-fragments.ts';

/**
 * Notes that somebody has gone.
 *
 * - KEYS: online, facts
 * - ARGV: entry, channel or empty, grace in ms, 1 if all devices of the member go with it
 * - returns: `{version, changes, 1 if it was here}`
 * - complexity: O(log online); O(online) if a member goes that has devices
 */
export const presenceLeaveScript: TypedScript<readonly [version: number, changes: string, here: 0 | 1]> = {
  name: 'presence-leave',
  lua: `${luaClock}${luaPresence}
local entry, grace = ARGV[1], tonumber(ARGV[3])
dropDue()
local here = 0
if ARGV[4] == '1' and redis.call('HEXISTS', facts, 'u' .. entry) == 1 then
  for _, other in ipairs(redis.call('ZRANGE', online, 0, -1)) do
    if memberOf(other) == entry then here = math.max(here, part(other, 'leave', grace)) end
  end
else
  here = part(entry, 'leave', grace)
end
local version, text = finish(ARGV[2])
return {version, text, here}
`,
};
