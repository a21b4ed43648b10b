import { entryKinds, type RedisScript } from '@cachekit/core';
import { luaEach, luaField, luaHeader, luaPublish, luaTags, noRefresh, refreshStart } from './fragments.ts';

/**
 * Stores what was loaded, each entry for itself, if its lease is still there and no tag of it was bumped since the load
 * began.
 *
 * Refused for a tag, it gives the lease back, so that the next load does not wait for it to run out.
 *
 * - KEYS: for each entry its key, then the tags of all
 * - ARGV: channel, then for each entry the places of its tags in KEYS, token, the entry as text, how long to keep it in ms,
 *   clock of the load
 * - returns: for each entry `{1}` stored · `{0}` refused · `{3, error}` Redis refused it
 * - complexity: O(entries + tags + size)
 */
export const commitScript: RedisScript = {
  name: 'commit',
  lua: `${luaPublish}${luaHeader}${luaTags}${luaEach}
local function commit(key, tags, arg)
  local token, text, ms, clock = ARGV[arg], ARGV[arg + 1], tonumber(ARGV[arg + 2]), tonumber(ARGV[arg + 3])
  local header, kind = headerOf(key)
  if not kind then return {0} end
  local leased = kind == '${entryKinds.lease}'
  local holder
  if leased then holder = ${luaField('version')} else holder = ${luaField('refreshToken')} end
  if holder ~= token then return {0} end
  for i = 1, #tags do
    local version = versionOf(tags[i])
    if version and version > clock then
      if leased then redis.call('DEL', key) else redis.call('SETRANGE', key, ${refreshStart}, '${noRefresh}') end
      publish({key})
      return {0}
    end
  end
  redis.call('SET', key, text, 'PX', ms)
  for i = 1, #tags do keepTag(tags[i], clock, ms) end
  publishStored(key, text)
  return {1}
end
return each(commit, 2, 5)
`,
};
