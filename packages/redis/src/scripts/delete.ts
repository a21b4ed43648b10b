import type { RedisScript } from '@cachekit/core';
import { luaClock, luaPublish } from './fragments.ts';

/**
 * Removes keys, and with them the leases of loads that are under way. All are told, also those that were not here:
 * another process may have one in memory that it loaded while it could not reach the server. To those who track, the
 * server tells only what was written, so such a key is written and removed in one.
 *
 * - KEYS: the entries
 * - ARGV: channel
 * - returns: the clock of the deletion
 * - complexity: O(keys)
 */
export const deleteScript: RedisScript = {
  name: 'delete',
  lua: `${luaClock}${luaPublish}
for i = 1, #KEYS do
  if redis.call('UNLINK', KEYS[i]) == 0 then
    -- Refused while the server's memory is full.
    redis.pcall('SET', KEYS[i], '')
    redis.call('UNLINK', KEYS[i])
  end
end
publish(KEYS)
return clock
`,
};
