import type { TypedScript } from '../script.ts';
import { luaMoved } from './session-fragments.ts';

/**
 * Ends sessions of one user. What says where one went stays.
 *
 * - KEYS: sessions of the user, then the sessions
 * - ARGV: the handles of the sessions, in the same order
 * - returns: how many there were
 * - complexity: O(sessions)
 */
export const sessionEndScript: TypedScript<number> = {
  name: 'session-end',
  lua: `${luaMoved}
redis.call('ZREM', KEYS[1], unpack(ARGV))
local ended = 0
for i = 2, #KEYS do
  if not movedTo(KEYS[i]) then ended = ended + redis.call('DEL', KEYS[i]) end
end
return ended
`,
};
