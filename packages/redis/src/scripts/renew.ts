import { entryFields, entryKinds, type RedisScript } from '@cachekit/core';
import { luaClock, luaDigits, luaField, luaHeader, luaOutlive } from './fragments.ts';

/**
 * Lets a lease begin anew that is still held. One that is gone stays gone.
 *
 * - KEYS: the entry
 * - ARGV: token, lease in ms
 * - returns: 1 held · 0 no longer held
 * - complexity: O(1)
 */
export const renewScript: RedisScript = {
  name: 'renew',
  lua: `${luaClock}${luaDigits}${luaHeader}${luaOutlive}
local key, token, lease = KEYS[1], ARGV[1], tonumber(ARGV[2])
local till = digits(now + lease, ${entryFields.freshUntil.length})
local header, kind = headerOf(key)
if not kind then return 0 end
if kind == '${entryKinds.lease}' then
  if ${luaField('version')} ~= token then return 0 end
  redis.call('SETRANGE', key, ${entryFields.freshUntil.start}, till)
  redis.call('PEXPIRE', key, lease)
else
  if ${luaField('refreshToken')} ~= token then return 0 end
  redis.call('SETRANGE', key, ${entryFields.refreshUntil.start}, till)
  outlive(key, lease)
end
return 1
`,
};
