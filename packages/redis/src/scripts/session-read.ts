import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';
import { luaSession, type SessionFields } from './session-fragments.ts';

/**
 * Reads sessions.
 *
 * - KEYS: sessions
 * - ARGV: how long one lives unseen in ms, or 0: they are looked at and not seen
 * - returns: for each `{data, version, created, seen, user, ends, expires}`, or `{}` if there is none
 * - complexity: O(sessions)
 */
export const sessionReadScript: TypedScript<readonly (SessionFields | readonly [])[]> = {
  name: 'session-read',
  lua: `${luaClock}${luaSession}
local idle, found = tonumber(ARGV[1]), {}
for i, key in ipairs(KEYS) do
  local f = read(key)
  if f and idle > 0 then slide(key, f, idle) end
  found[i] = f and all(key, f) or {}
end
return found
`,
};
