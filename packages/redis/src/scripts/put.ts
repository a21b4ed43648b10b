import { entryFields, type RedisScript } from '@cachekit/core';
import { luaClock, luaDigits, luaEach, luaPublish, luaTags } from './fragments.ts';

/**
 * Stores entries whatever was there, with the server's clock. A tag that was bumped in the same instant counts as before
 * it: whoever puts a value knows it to be right now.
 *
 * - KEYS: for each entry its key, then the tags of all
 * - ARGV: channel, then the entries, in runs with these settings: what stands before the clock of each, how long to keep
 *   them in ms; for each what stands behind its clock
 * - returns: for each entry its clock · the error with which Redis refused it
 * - complexity: O(entries + tags + size)
 */
export const putScript: RedisScript = {
  name: 'put',
  lua: `${luaClock}${luaDigits}${luaPublish}${luaTags}${luaEach}
local function puts(tags, arg)
  local ms, latest = tonumber(ARGV[arg + 1]), clock
  for i = 1, #tags do latest = math.max(latest, versionOf(tags[i]) or 0) end
  local before = ARGV[arg] .. digits(latest, ${entryFields.clock.length})
  local kept
  return function(key, rest)
    local text = before .. rest
    redis.call('SET', key, text, 'PX', ms)
    if not kept then
      for i = 1, #tags do keepTag(tags[i], latest, ms) end
      kept = true
    end
    stored(key, text)
    return latest
  end
end
local replies = each(2, 2, puts, {})
publishStored()
return replies
`,
};
