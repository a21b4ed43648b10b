import type { RedisScript } from '@cachekit/core';
import { luaTags } from './fragments.ts';

/**
 * Keeps the tags of an entry that is in another slot; {@link commitScript} and {@link putScript} do so for their own.
 *
 * - KEYS: the tags
 * - ARGV: clock of the entry, how long it is kept in ms
 * - returns: 1 the entry is not older than any of them · 0 it is, and nothing was changed
 * - complexity: O(tags)
 */
export const keepTagsScript: RedisScript = {
  name: 'keep-tags',
  lua: `${luaTags}
local clock, ms = tonumber(ARGV[1]), tonumber(ARGV[2])
for i = 1, #KEYS do
  local version = versionOf(KEYS[i])
  if version and version > clock then return 0 end
end
for i = 1, #KEYS do keepTag(KEYS[i], clock, ms) end
return 1
`,
};
