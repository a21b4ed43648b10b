import type { TypedScript } from '../script.ts';

/**
 * Ends sessions of one user.
 *
 * - KEYS: sessions of the user, then the sessions
 * - ARGV: the handles of the sessions, in the same order
 * - returns: how many there were
 * - complexity: O(sessions)
 */
export const sessionEndScript: TypedScript<number> = {
  name: 'session-end',
  lua: `
redis.call('ZREM', KEYS[1], unpack(ARGV))
return redis.call('DEL', unpack(KEYS, 2))
`,
};
