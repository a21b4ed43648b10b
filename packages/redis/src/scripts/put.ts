import { entryFields, type RedisScript } from '@cachekit/core';
import { luaClock, luaDigits, luaPublish, luaTags } from './fragments.ts';

const { start, length } = entryFields.clock;

/**
 * Stores an entry whatever was there, with the server's clock. A tag that was bumped in the same instant counts as
 * before it: whoever puts a value knows it to be right now.
 *
 * - KEYS: the entry, then its tags
 * - ARGV: channel, the entry as text, how long to keep it in ms
 * - returns: the clock of the entry
 * - complexity: O(tags + size)
 */
export const putScript: RedisScript = {
  name: 'put',
  lua: `${luaClock}${luaDigits}${luaPublish}${luaTags}
local key, text, ms = KEYS[1], ARGV[2], tonumber(ARGV[3])
for i = 2, #KEYS do
  local version = versionOf(KEYS[i])
  if version and version > clock then clock = version end
end
redis.call('SET', key, string.sub(text, 1, ${start}) .. digits(clock, ${length}) .. string.sub(text, ${start + length + 1}), 'PX', ms)
for i = 2, #KEYS do keepTag(KEYS[i], clock, ms) end
publishStored(key, text)
return clock
`,
};
