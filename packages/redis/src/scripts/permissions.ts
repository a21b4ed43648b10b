import type { TypedScript } from '../script.ts';
import { loggedChanges } from './fragments.ts';

/**
 * Tries what the scripts of the cache do, in such a way that nothing comes of it: on a key that is not there, and by
 * messages that tell of no key.
 *
 * - KEYS: a key that is not there, and on one server the log of changes
 * - ARGV: channel, or empty
 * - returns: the commands that the server refuses, each with what it said
 * - complexity: O(1)
 */
export const permissionsScript: TypedScript<readonly string[]> = {
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
if KEYS[2] then try('XADD', KEYS[2], 'NOMKSTREAM', 'MAXLEN', '~', ${loggedChanges}, '*', 'm', '[]') end
if ARGV[1] ~= '' then try('PUBLISH', ARGV[1], '[]') end
return refused
`,
};
