import { entryKinds, type RedisScript } from '@cachekit/core';
import {
  luaEach,
  luaField,
  luaHeader,
  luaLease,
  luaPublish,
  luaTags,
  noRefresh,
  refreshStart,
} from './fragments.ts';

/**
 * Stores what was loaded, each entry for itself, if its lease is still there and no tag of it was bumped since the load
 * began.
 *
 * Refused for a tag, it gives the lease back, so that the next load does not wait for it to run out.
 *
 * - KEYS: for each entry its key, then the tags of all
 * - ARGV: channel, then the entries, in runs with these settings: how long to keep them in ms, token (empty: the version
 *   of the entry is the token); for each its text
 * - returns: for each entry 1 stored · 0 refused · the error with which Redis refused it
 * - complexity: O(entries + tags + size)
 */
export const commitScript: RedisScript = {
  name: 'commit',
  lua: `${luaPublish}${luaHeader}${luaLease}${luaTags}${luaEach}
local function commits(tags, arg)
  local ms, token = tonumber(ARGV[arg]), ARGV[arg + 1]
  local newest, kept
  local function look()
    newest = 0
    for i = 1, #tags do newest = math.max(newest, versionOf(tags[i]) or 0) end
  end
  look()
  return function(key, text)
    local holder = token == '' and ${luaField('version', 'text')} or token
    local leased = leaseOf(key) == holder
    if not leased then
      local header, kind = headerOf(key)
      if not kind or kind == '${entryKinds.lease}' or ${luaField('refreshToken')} ~= holder then return 0 end
    end
    local clock = tonumber(${luaField('clock', 'text')})
    if newest > clock then
      if leased then redis.call('DEL', key) else redis.call('SETRANGE', key, ${refreshStart}, '${noRefresh}') end
      publish({key})
      return 0
    end
    redis.call('SET', key, text, 'PX', ms)
    if not kept then
      for i = 1, #tags do keepTag(tags[i], clock, ms) end
      kept = true
      look()
    end
    stored(key, text)
    return 1
  end
end
local replies = each(2, 2, commits, {})
publishStored()
return replies
`,
};
