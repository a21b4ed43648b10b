import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';

/**
 * The sessions of a user that have not ended by their age; those that ended otherwise are among them.
 *
 * - KEYS: sessions of the user
 * - ARGV: none
 * - returns: handles, the one that ends next first
 * - complexity: O(sessions)
 */
export const sessionHandlesScript: TypedScript<readonly string[]> = {
  name: 'session-handles',
  lua: `${luaClock}
return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now), '+inf')
`,
};
