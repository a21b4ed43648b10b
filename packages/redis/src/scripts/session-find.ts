import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';
import { luaMoved, luaSession } from './session-fragments.ts';

/**
 * Finds whose session it is, or where its id was rotated to.
 *
 * - KEYS: session
 * - ARGV: none
 * - returns: `{user}` · `{'', its new handle}` · `{}` there is none
 * - complexity: O(1)
 */
export const sessionFindScript: TypedScript<[user: string] | ['', next: string] | []> = {
  name: 'session-find',
  lua: `${luaClock}${luaSession}${luaMoved}
local next = movedTo(KEYS[1])
if next then return {'', next} end
local f = read(KEYS[1])
return f and {f[5]} or {}
`,
};
