import { entryFields, entryKinds, noToken, type RedisScript } from '@cachekit/core';
import { luaClock, luaDigits, luaField, luaHeader } from './fragments.ts';

/**
 * Asks to load a key.
 *
 * The lease stands in the value key itself: in place of a value, or, while an old entry stays readable, in its header.
 * So whatever touches the key takes the lease away. For the token that holds it, the lease begins anew; the clock is
 * still that of its beginning where the lease has room for it. Nothing is published: no reader sees another value than before.
 *
 * - KEYS: the entry
 * - ARGV: token, lease in ms, version of the entry that is to be replaced (or empty)
 * - returns: `{0, clock}` acquired · `{1}` somebody else loads · `{2, text}` another entry is there
 * - complexity: O(1); O(size) if it returns an entry
 */
export const acquireScript: RedisScript = {
  name: 'acquire',
  lua: `${luaClock}${luaDigits}${luaHeader}
local key, token, lease, replaces = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3]
local till = digits(now + lease, ${entryFields.freshUntil.length})
local function refresh()
  redis.call('SETRANGE', key, ${entryFields.refreshToken.start}, token .. till)
  -- An entry that expired during its refresh would take the lease with it.
  local left = redis.call('PTTL', key)
  if left >= 0 and left < lease then redis.call('PEXPIRE', key, lease) end
end
local header, kind = headerOf(key)
if kind == '${entryKinds.lease}' then
  if ${luaField('version')} == token then
    redis.call('SETRANGE', key, ${entryFields.freshUntil.start}, till)
    redis.call('PEXPIRE', key, lease)
    return {0, tonumber(${luaField('clock')})}
  end
  if tonumber(${luaField('freshUntil')}) > now then return {1} end
elseif kind and ${luaField('refreshToken')} == token then
  refresh()
  return {0, clock}
elseif kind then
  if ${luaField('version')} ~= replaces then return {2, redis.call('GET', key)} end
  if ${luaField('refreshToken')} ~= '${noToken}' and tonumber(${luaField('refreshUntil')}) > now then return {1} end
  refresh()
  return {0, clock}
end
redis.call('SET', key, 'C1${entryKinds.lease}-' .. digits(clock, ${entryFields.clock.length}) .. till .. token
  .. '${noToken}' .. '${'0'.repeat(entryFields.refreshUntil.length + entryFields.loadMs.length + entryFields.tagBytes.length)}', 'PX', lease)
return {0, clock}
`,
};
