import type { RedisScript } from '@cachekit/core';

/**
 * Tries what the scripts of the cache do, in such a way that nothing comes of it: on a key that is not there.
 *
 * - KEYS: a key that is not there
 * - ARGV: channel, or empty
 * - returns: the commands that the server refuses, each with what it said
 * - complexity: O(1)
 */
export const permissionsScript: RedisScript = {
  name: 'permissions',
  lua: `
local key, refused = KEYS[1], {}
local function try(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then refused[#refused + 1] = (...) .. ': ' .. reply.err end
end
try('TIME')
try('GET', key)
try('GETRANGE', key, 0, 1)
try('STRLEN', key)
try('PTTL', key)
try('SET', key, '', 'XX', 'PX', 1)
try('SETRANGE', key, 0, '')
try('PEXPIRE', key, 1)
try('DEL', key)
try('UNLINK', key)
if ARGV[1] ~= '' then try('PUBLISH', ARGV[1], '[]') end
return refused
`,
};
