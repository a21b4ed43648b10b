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

/** Stands in place of a version where nobody looked: nothing but an absent key is taken. */
export const unseenMark = '?';

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
 * - ARGV: the requests, in runs with these settings: lease in ms, version of the entry that is to be replaced (or empty,
 *   or {@link unseenMark}); for each its token
 * - returns: the clock of all loads that begin now, then for each request 1 acquired · 0 somebody else loads, or something
 *   is there that was not seen · the text of another entry that is there · the error with which Redis refused it
 * - complexity: O(requests + tags); O(size) for each entry it returns
 */
export const acquireScript: RedisScript = {
  name: 'acquire',
  lua: `${luaClock}${luaDigits}${luaHeader}${luaOutlive}${luaTags}${luaEach}
local function lasts(till)
  return tonumber(till) > now and tonumber(till) <= now + ${longestLeaseMs}
end
local function acquires(tags, arg)
  local lease, replaces = tonumber(ARGV[arg]), ARGV[arg + 1]
  local till = digits(now + lease, ${entryFields.freshUntil.length})
  local before = '${entryMagic}${entryKinds.lease}-' .. digits(clock, ${entryFields.clock.length}) .. till
  local function contend(key, token)
    local header, kind = headerOf(key)
    if kind == '${entryKinds.lease}' and lasts(${luaField('freshUntil')}) and redis.call('PTTL', key) >= 0 then return 0 end
    if kind and kind ~= '${entryKinds.lease}' then
      if ${luaField('version')} ~= replaces then return redis.call('GET', key) end
      if ${luaField('refreshToken')} ~= '${noToken}' and lasts(${luaField('refreshUntil')}) then return 0 end
      redis.call('SETRANGE', key, ${entryFields.refreshToken.start}, token .. till)
      outlive(key, lease)
    else
      redis.call('SET', key, before .. token .. '${noRefresh}${noRest}', 'PX', lease)
    end
    return 1
  end
  local known = false
  return function(key, token)
    local reply = 0
    -- Most of what is loaded is not there.
    if #replaces < 2 and redis.call('SET', key, before .. token .. '${noRefresh}${noRest}', 'NX', 'PX', lease) then
      reply = 1
    elseif replaces ~= '${unseenMark}' then
      reply = contend(key, token)
    end
    if reply == 1 and not known then
      for i = 1, #tags do keepTag(tags[i], clock, 0) end
      known = true
    end
    return reply
  end
end
return each(1, 2, acquires, {clock})
`,
};
