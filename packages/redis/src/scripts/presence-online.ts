import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';

/**
 * The members that have been seen recently enough, the one that drops out next first.
 *
 * - KEYS: the members of a tenant
 * - ARGV: none
 * - returns: the members
 * - complexity: O(log members + online)
 */
export const presenceOnlineScript: TypedScript<readonly string[]> = {
  name: 'presence-online',
  lua: `${luaClock}
return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now), '+inf')
`,
};
