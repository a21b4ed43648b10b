import type { RedisScript } from '@cachekit/core';
import { luaClock, luaPublish, luaTags } from './fragments.ts';

/**
 * Makes every entry invalid that carries one of the tags and whose load began before now.
 *
 * The version is later than the present microsecond and than the old version, so that a load that began in the same instant
 * leaves no entry valid, nor one from before the last version where a server's clock went back. It is odd, so that nobody
 * takes it for the clock of a load or put of their own, which makes a tag known and invalidates nothing.
 *
 * - KEYS: the tags
 * - ARGV: channel, microseconds to add because the entries' clocks are another server's
 * - returns: the version that all of them have now
 * - complexity: O(tags), whatever the number of entries
 */
export const bumpTagsScript: RedisScript = {
  name: 'bump-tags',
  lua: `${luaClock}${luaPublish}${luaTags}
local version = clock + 1 + tonumber(ARGV[2])
for i = 1, #KEYS do version = math.max(version, (versionOf(KEYS[i]) or 0) + 1) end
version = version + 1 - version % 2
for i = 1, #KEYS do storeTag(KEYS[i], version, redis.call('PTTL', KEYS[i])) end
publish(KEYS)
return version
`,
};
