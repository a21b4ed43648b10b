import { entryFields, entryKinds, type RedisScript } from '@cachekit/core';
import { luaDigits, luaField, luaHeader, luaPublish, noRefresh, refreshStart } from './fragments.ts';

/**
 * Prolongs an entry that was found unchanged and ends its refresh; the payload is not sent again.
 *
 * The tags are not prolonged with it. One that expires first makes the entry invalid, never wrong.
 *
 * - KEYS: the entry
 * - ARGV: channel, version it must still have, fresh until (ms), how long to keep it in ms
 * - returns: 1 prolonged · 0 it is another entry now
 * - complexity: O(1)
 */
export const touchScript: RedisScript = {
  name: 'touch',
  lua: `${luaDigits}${luaHeader}${luaPublish}
local key, version, till, ms = KEYS[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local header, kind = headerOf(key)
if not kind or kind == '${entryKinds.lease}' or ${luaField('version')} ~= version then return 0 end
redis.call('SETRANGE', key, ${entryFields.freshUntil.start}, digits(till, ${entryFields.freshUntil.length}))
redis.call('SETRANGE', key, ${refreshStart}, '${noRefresh}')
redis.call('PEXPIRE', key, ms)
publish({key})
return 1
`,
};
