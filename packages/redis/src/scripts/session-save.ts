import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';
import { luaSession, type SessionFields } from './session-fragments.ts';

/**
 * Replaces the data of a session, if nobody else has since it was read.
 *
 * - KEYS: session
 * - ARGV: data, version that was read, how long it lives unseen in ms
 * - returns: as `session-read`, after the change · `{0}` somebody else replaced it · `{}` it has ended
 * - complexity: O(1)
 */
export const sessionSaveScript: TypedScript<SessionFields | readonly [] | readonly [0]> = {
  name: 'session-save',
  lua: `${luaClock}${luaSession}
local key = KEYS[1]
local f = read(key)
if not f then return {} end
if f[2] ~= tonumber(ARGV[2]) then return {0} end
f[1], f[2] = ARGV[1], f[2] + 1
redis.call('HSET', key, 'd', f[1], 'v', f[2])
slide(key, f, tonumber(ARGV[3]))
return all(key, f)
`,
};
