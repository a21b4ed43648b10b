import { entryFields, entryKinds, entryMagic, noToken, type RedisScript } from '@cachekit/core';
import { luaClock, luaDigits, luaField, luaHeader, luaOutlive, luaTags } from './fragments.ts';

/**
 * Asks to load a key.
 *
 * The lease stands in the value key itself: in place of a value, or, while an old entry stays readable, in its header.
 * So whatever touches the key takes the lease away. Nothing is published: no reader sees another value than before.
 *
 * Tags that are unknown become known with the clock of this load. If the commit did that, loads that run side by side
 * would refuse each other: the first to end would make the tag newer than the others are.
 *
 * - KEYS: the entry, then the tags it will carry
 * - ARGV: token, lease in ms, version of the entry that is to be replaced (or empty)
 * - returns: `{0, clock}` acquired · `{1}` somebody else loads · `{2, text}` another entry is there
 * - complexity: O(tags); O(size) if it returns an entry
 */
export const acquireScript: RedisScript = {
  name: 'acquire',
  lua: `${luaClock}${luaDigits}${luaHeader}${luaOutlive}${luaTags}
local key, token, lease, replaces = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3]
local function acquired()
  for i = 2, #KEYS do keepTag(KEYS[i], clock, 0) end
  return {0, clock}
end
local till = digits(now + lease, ${entryFields.freshUntil.length})
local header, kind = headerOf(key)
if kind == '${entryKinds.lease}' then
  if tonumber(${luaField('freshUntil')}) > now then return {1} end
elseif kind then
  if ${luaField('version')} ~= replaces then return {2, redis.call('GET', key)} end
  if ${luaField('refreshToken')} ~= '${noToken}' and tonumber(${luaField('refreshUntil')}) > now then return {1} end
  redis.call('SETRANGE', key, ${entryFields.refreshToken.start}, token .. till)
  outlive(key, lease)
  return acquired()
end
redis.call('SET', key, '${entryMagic}${entryKinds.lease}-' .. digits(clock, ${entryFields.clock.length}) .. till .. token
  .. '${noToken}' .. '${'0'.repeat(entryFields.refreshUntil.length + entryFields.loadMs.length + entryFields.tagBytes.length)}', 'PX', lease)
return acquired()
`,
};
