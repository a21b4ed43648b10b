import { entryFields, type RedisScript } from '@cachekit/core';
import { luaClock, luaDigits, luaEach, luaPublish, luaTags } from './fragments.ts';

/**
 * Stores entries whatever was there, with the server's clock. A tag that was bumped in the same instant counts as before
 * it: whoever puts a value knows it to be right now.
 *
 * - KEYS: for each entry its key, then the tags of all
 * A put that is carried out when its caller has long been told that it failed would undo what others wrote meanwhile,
 * so it is not.
 *
 * - ARGV: channel, how many microseconds after it was asked for a put is too late (0: never), then the entries, in runs
 *   with these settings: what stands before the clock of each, how long to keep them in ms; for each the clock at which it
 *   was asked for and what stands behind
 * - returns: for each entry its clock · the clock, negative, of one that came too late · the error with which Redis refused it
 * - complexity: O(entries + tags + size)
 */
export const putScript: RedisScript = {
  name: 'put',
  lua: `${luaClock}${luaDigits}${luaPublish}${luaTags}${luaEach}
local patience = tonumber(ARGV[2])
local function puts(tags, arg)
  local ms, latest = tonumber(ARGV[arg + 1]), clock
  for i = 1, #tags do latest = math.max(latest, versionOf(tags[i]) or 0) end
  local before = ARGV[arg] .. digits(latest, ${entryFields.clock.length})
  local kept
  return function(key, rest)
    if patience > 0 and clock - tonumber(string.sub(rest, 1, ${entryFields.clock.length})) > patience then return -clock end
    local text = before .. string.sub(rest, ${entryFields.clock.length + 1})
    redis.call('SET', key, text, 'PX', ms)
    if not kept then
      for i = 1, #tags do keepTag(tags[i], latest, ms) end
      kept = true
    end
    stored(key, text)
    return latest
  end
end
local replies = each(3, 2, puts, {})
publishStored()
return replies
`,
};
