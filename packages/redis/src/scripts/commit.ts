import { entryKinds, type RedisScript } from '@cachekit/core';
import { luaField, luaHeader, luaPublish, luaTags, noRefresh, refreshStart } from './fragments.ts';

/**
 * Stores what was loaded, if the lease is still there and no tag was bumped since the load began.
 *
 * Refused for a tag, it gives the lease back, so that the next load does not wait for it to run out.
 *
 * - KEYS: the entry, then its tags
 * - ARGV: channel, token, the entry as text, how long to keep it in ms, clock of the load
 * - returns: 1 stored · 0 refused
 * - complexity: O(tags + size)
 */
export const commitScript: RedisScript = {
  name: 'commit',
  lua: `${luaPublish}${luaHeader}${luaTags}
local key, token, ms, clock = KEYS[1], ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
local header, kind = headerOf(key)
if not kind then return 0 end
local leased = kind == '${entryKinds.lease}'
local holder
if leased then holder = ${luaField('version')} else holder = ${luaField('refreshToken')} end
if holder ~= token then return 0 end
for i = 2, #KEYS do
  local version = versionOf(KEYS[i])
  if version and version > clock then
    if leased then redis.call('DEL', key) else redis.call('SETRANGE', key, ${refreshStart}, '${noRefresh}') end
    publish({key})
    return 0
  end
end
redis.call('SET', key, ARGV[3], 'PX', ms)
for i = 2, #KEYS do keepTag(KEYS[i], clock, ms) end
publishStored(key, ARGV[3])
return 1
`,
};
