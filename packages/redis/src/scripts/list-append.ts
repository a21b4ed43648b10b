import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';

/**
 * Appends to a list, each element with the time (ms) before it.
 *
 * - KEYS: list
 * - ARGV: element, how many are kept, for how many ms
 * - returns: how many there are, those that are too old among them
 * - complexity: O(1)
 */
export const listAppendScript: TypedScript<number> = {
  name: 'list-append',
  lua: `${luaClock}
local length = redis.call('RPUSH', KEYS[1], string.format('%.0f', now) .. ':' .. ARGV[1])
local most = tonumber(ARGV[2])
if length > most then
  redis.call('LTRIM', KEYS[1], -most, -1)
  length = most
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return length
`,
};
