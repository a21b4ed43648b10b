import type { TypedScript } from '../script.ts';
import { luaRoom } from './presence-room.ts';

/**
 * Notes that a process holds members of a tenant.
 *
 * - KEYS: the tenants of whom it does
 * - ARGV: tenant, for how many ms that is known at least
 * - returns: 0
 * - complexity: O(1)
 */
export const presenceHeldScript: TypedScript<0> = {
  name: 'presence-held',
  lua: `${luaRoom}
noMore(KEYS[1])
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], math.max(redis.call('PTTL', KEYS[1]), tonumber(ARGV[2])))
return 0
`,
};
