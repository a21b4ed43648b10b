import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';
import { luaRoom } from './presence-room.ts';

/** What the name of a process begins with while somebody lets its members leave. */
export const claimed = '!';

/** Whoever has not finished after this long has died of it. */
const finishedWithinMs = 30_000;

/**
 * Takes it on to let the members of a process leave. From then on the process is unknown; if it lives after all, it sees
 * that and comes back under another name.
 *
 * - KEYS: processes by the time at which each must be taken for dead
 * - ARGV: name as it stands there, time that was read
 * - returns: the process · empty, if it has given a sign of life or somebody else was faster
 * - complexity: O(log processes)
 */
export const presenceClaimScript: TypedScript<string> = {
  name: 'presence-claim',
  lua: `${luaClock}${luaRoom}
local key, name = KEYS[1], ARGV[1]
local before = redis.call('ZSCORE', key, name)
if not before or tonumber(before) ~= tonumber(ARGV[2]) then return '' end
local server = string.gsub(name, '^${claimed}', '')
local taken = '${claimed}' .. server
noMore(key)
-- In this order: a set that were empty in between would lose its expiry.
redis.call('ZADD', key, string.format('%.0f', now + ${finishedWithinMs}), taken)
if name ~= taken then redis.call('ZREM', key, name) end
return server
`,
};
