import { entryFields, type RedisScript } from '@cachekit/core';
import { luaClock, luaDigits, luaEach, luaPublish, luaTags } from './fragments.ts';

const { start, length } = entryFields.clock;

/**
 * Stores entries whatever was there, with the server's clock. A tag that was bumped in the same instant counts as before
 * it: whoever puts a value knows it to be right now.
 *
 * A put that is carried out when its caller has long been told that it failed would undo what others wrote meanwhile, so
 * it is not.
 *
 * - KEYS: for each entry its key, then the tags of all
 * - ARGV: channel, how many microseconds after it was asked for a put is too late (0: never), then the entries, in runs
 *   with these settings: the beginning of each with the clock at which it was asked for, how long to keep them in ms; for
 *   each what stands behind its clock
 * - returns: for each entry its clock · the clock, negative, of one that came too late · the error with which Redis refused it
 * - complexity: O(entries + tags + size)
 */
export const putScript: RedisScript = {
  name: 'put',
  lua: `${luaClock}${luaDigits}${luaPublish}${luaTags}${luaEach}
local patience = tonumber(ARGV[2])
local function puts(tags, arg)
  local asked, ms, latest = tonumber(string.sub(ARGV[arg], ${start + 1})), tonumber(ARGV[arg + 1]), clock
  if patience > 0 and clock - asked > patience then return function() return -clock end end
  for i = 1, #tags do latest = math.max(latest, versionOf(tags[i]) or 0) end
  local before = string.sub(ARGV[arg], 1, ${start}) .. digits(latest, ${length})
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
local replies = each(3, 2, puts, {})
publishStored()
return replies
`,
};
