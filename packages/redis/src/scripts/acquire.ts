import {
  entryFields,
  entryKinds,
  entryMagic,
  longestLeaseMs,
  noToken,
  type RedisScript,
} from '@cachekit/core';
import {
  luaClock,
  luaDigits,
  luaEach,
  luaField,
  luaHeader,
  luaOutlive,
  luaTags,
  noRefresh,
  noRest,
} from './fragments.ts';

/**
 * Asks to load keys, each for itself.
 *
 * The lease stands in the value key itself: in place of a value, or, while an old entry stays readable, in its header.
 * So whatever touches the key takes the lease away. Nothing is published: no reader sees another value than before.
 *
 * Tags that are unknown become known with the clock of this load. If the commit did that, loads that run side by side
 * would refuse each other: the first to end would make the tag newer than the others are.
 *
 * - KEYS: for each request the entry, then the tags that they will carry
 * - ARGV: for each request the places of its tags in KEYS, token, lease in ms, version of the entry that is to be replaced (or
 *   empty)
 * - returns: for each request `{0, clock}` acquired · `{1}` somebody else loads · `{2, text}` another entry is there ·
 *   `{3, error}` Redis refused it
 * - complexity: O(requests + tags); O(size) for each entry it returns
 */
export const acquireScript: RedisScript = {
  name: 'acquire',
  lua: `${luaClock}${luaDigits}${luaHeader}${luaOutlive}${luaTags}${luaEach}
local function lasts(till)
  return tonumber(till) > now and tonumber(till) <= now + ${longestLeaseMs}
end
local function acquire(key, tags, arg)
  local token, lease, replaces = ARGV[arg], tonumber(ARGV[arg + 1]), ARGV[arg + 2]
  local till = digits(now + lease, ${entryFields.freshUntil.length})
  local header, kind = headerOf(key)
  if kind == '${entryKinds.lease}' and lasts(${luaField('freshUntil')}) and redis.call('PTTL', key) >= 0 then return {1} end
  if kind and kind ~= '${entryKinds.lease}' then
    if ${luaField('version')} ~= replaces then return {2, redis.call('GET', key)} end
    if ${luaField('refreshToken')} ~= '${noToken}' and lasts(${luaField('refreshUntil')}) then return {1} end
    redis.call('SETRANGE', key, ${entryFields.refreshToken.start}, token .. till)
    outlive(key, lease)
  else
    redis.call('SET', key, '${entryMagic}${entryKinds.lease}-' .. digits(clock, ${entryFields.clock.length}) .. till .. token
      .. '${noRefresh}${noRest}', 'PX', lease)
  end
  for i = 1, #tags do keepTag(tags[i], clock, 0) end
  return {0, clock}
end
return each(acquire, 1, 4)
`,
};
