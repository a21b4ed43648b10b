import { entryKinds, type RedisScript } from '@cachekit/core';
import { luaField, luaHeader, luaPublish, noRefresh, refreshStart } from './fragments.ts';

/**
 * Gives a lease back, if it is still held; whoever waits for the load hears of it.
 *
 * - KEYS: the entry
 * - ARGV: channel, token
 * - returns: 1 given back · 0 no longer held
 * - complexity: O(1)
 */
export const releaseScript: RedisScript = {
  name: 'release',
  lua: `${luaPublish}${luaHeader}
local key, token = KEYS[1], ARGV[2]
local header, kind = headerOf(key)
if not kind then return 0 end
if kind == '${entryKinds.lease}' then
  if ${luaField('version')} ~= token then return 0 end
  redis.call('DEL', key)
else
  if ${luaField('refreshToken')} ~= token then return 0 end
  redis.call('SETRANGE', key, ${refreshStart}, '${noRefresh}')
end
publish({key})
return 1
`,
};
