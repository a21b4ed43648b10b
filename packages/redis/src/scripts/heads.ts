import { entryFields, type RedisScript } from '@cachekit/core';

const { start, length } = entryFields.refreshToken;

/**
 * Reads the beginning of keys, as far as it says which version they hold and who loads them.
 *
 * - KEYS: entries and tags
 * - returns: for each what it begins with, or an empty text
 * - complexity: O(keys)
 */
export const headsScript: RedisScript = {
  name: 'heads',
  lua: `
local heads = {}
for i = 1, #KEYS do
  local head = redis.pcall('GETRANGE', KEYS[i], 0, ${start + length - 1})
  heads[i] = type(head) == 'string' and head or ''
end
return heads
`,
};
