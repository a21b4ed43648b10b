import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';
import { luaPresence } from './presence-fragments.ts';

/** How long one that dropped out can be told of at least, and otherwise as long as it was believed to be there. */
const untoldMs = 10_000;

/**
 * Notes that members are here, and drops those that have not been seen for too long.
 *
 * - KEYS: online, facts
 * - ARGV: how long one stays after it was seen in ms, channel or empty, the process that holds them or empty, then for
 *   each its entry and its metadata, empty if nothing is said about it
 * - returns: `{version, changes, [1 if the member was away before, ...]}`
 * - complexity: O((members + dropped) * log online)
 */
export const presenceBeatScript: TypedScript<
  readonly [version: number, changes: string, away: readonly (0 | 1)[]]
> = {
  name: 'presence-beat',
  lua: `${luaClock}${luaPresence}
local ttl, came = tonumber(ARGV[1]), {}
if redis.call('ZSCORE', online, ARGV[4]) then noMore(online) end
dropDue()
for i = 4, #ARGV, 2 do came[#came + 1] = arrive(ARGV[i], ARGV[i + 1], ARGV[3], now + ttl) end
-- Another process may keep its members longer. Until then somebody can still tell that the last ones have left.
keep(online, ttl + math.max(ttl, ${untoldMs}))
local version, text = finish(ARGV[2])
return {version, text, came}
`,
};
