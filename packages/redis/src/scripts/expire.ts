import { entryFields, entryKinds, type RedisScript, tokenLength } from '@cachekit/core';
import { luaClock, luaField, luaHeader, luaPublish, noRefresh } from './fragments.ts';

/**
 * Makes entries stale that stay readable, under a new version; leases of loads that are under way end.
 *
 * - KEYS: the entries
 * - ARGV: channel
 * - returns: the clock of the call
 * - complexity: O(keys)
 */
export const expireScript: RedisScript = {
  name: 'expire',
  lua: `${luaClock}${luaHeader}${luaPublish}
for i = 1, #KEYS do
  local header, kind = headerOf(KEYS[i])
  if kind == '${entryKinds.lease}' then
    redis.call('UNLINK', KEYS[i])
  elseif kind then
    local version = string.sub(redis.sha1hex(${luaField('version')} .. clock), 1, ${tokenLength})
    redis.call('SETRANGE', KEYS[i], ${entryFields.freshUntil.start},
      '${'0'.repeat(entryFields.freshUntil.length)}' .. version .. '${noRefresh}')
  end
end
publish(KEYS)
return clock
`,
};
