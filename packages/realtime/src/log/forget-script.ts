import type { RedisScript } from '@cachekit/core';

/**
 * Takes a tenant out of the index unless it was used again meanwhile.
 *
 * KEYS: index (sorted set: tenant by when it was last used, in ms). ARGV: tenant, the time read before. O(log n).
 */
export const forgetScript: RedisScript = {
  name: 'realtime.forget',
  lua: `
if redis.call('ZSCORE', KEYS[1], ARGV[1]) == ARGV[2] then return redis.call('ZREM', KEYS[1], ARGV[1]) end
return 0
`,
};
