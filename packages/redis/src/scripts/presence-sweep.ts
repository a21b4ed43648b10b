import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';
import { luaPresence } from './presence-fragments.ts';

/**
 * Drops those who have not been seen for too long, and those of a process that is gone.
 *
 * - KEYS: online, facts
 * - ARGV: channel or empty, the process that is gone or empty, its grace in ms
 * - returns: `{version, changes, when the next one drops out or 0, entries, members}`
 * - complexity: O(dropped * log online); O(facts) if a process is gone
 */
export const presenceSweepScript: TypedScript<
  readonly [version: number, changes: string, nextAt: number, entries: number, members: number]
> = {
  name: 'presence-sweep',
  lua: `${luaClock}${luaPresence}
dropDue()
if ARGV[2] ~= '' then
  local known = redis.call('HGETALL', facts)
  for i = 1, #known, 2 do
    if string.sub(known[i], 1, 1) == 's' and known[i + 1] == ARGV[2] then
      part(string.sub(known[i], 2), 'server-down', tonumber(ARGV[3]))
    end
  end
end
local version, text = finish(ARGV[1])
local entries = redis.call('ZCARD', online)
local due = tonumber(redis.call('ZRANGE', online, 0, 0, 'WITHSCORES')[2] or 0)
return {version, text, due, entries, entries - tonumber(redis.call('HGET', facts, 'x') or 0)}
`,
};
