import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';
import { luaSession, movedMs, type SessionFields } from './session-fragments.ts';

/**
 * Gives a session another id. From then on the old one is unknown, but for a minute it is known which session it was.
 *
 * - KEYS: session, its new place, sessions of the user
 * - ARGV: old handle, new handle
 * - returns: as `session-read` · `{}` it has ended · `{0}` the new handle is taken
 * - complexity: O(log sessions of the user)
 */
export const sessionRotateScript: TypedScript<SessionFields | readonly [] | readonly [0]> = {
  name: 'session-rotate',
  lua: `${luaClock}${luaSession}
local f = read(KEYS[1])
if not f then return {} end
if redis.call('RENAMENX', KEYS[1], KEYS[2]) == 0 then return {0} end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZADD', KEYS[3], string.format('%.0f', f[6]), ARGV[2])
local left = f[6] - now
redis.call('HSET', KEYS[1], 'n', ARGV[2])
redis.call('PEXPIRE', KEYS[1], math.min(left, ${movedMs}))
if redis.call('PTTL', KEYS[3]) < left then redis.call('PEXPIRE', KEYS[3], left) end
return all(KEYS[2], f)
`,
};
