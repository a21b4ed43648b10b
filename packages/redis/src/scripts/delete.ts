import type { RedisScript } from '@cachekit/core';
import { luaClock, luaPublish } from './fragments.ts';

/**
 * Removes keys, and with them the leases of loads that are under way. All are published, also those that were not
 * here: another process may have one in memory that the server evicted.
 *
 * - KEYS: the entries
 * - ARGV: channel
 * - returns: the clock of the deletion
 * - complexity: O(keys)
 */
export const deleteScript: RedisScript = {
  name: 'delete',
  lua: `${luaClock}${luaPublish}
for i = 1, #KEYS do redis.call('UNLINK', KEYS[i]) end
publish(KEYS)
return clock
`,
};
