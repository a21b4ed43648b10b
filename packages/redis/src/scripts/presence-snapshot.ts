import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';
import { luaPresence } from './presence-fragments.ts';

/**
 * Everybody who is online, as of one version.
 *
 * - KEYS: online, facts
 * - ARGV: channel or empty
 * - returns: `{version, changes, [entry, metadata or empty, ...]}`
 * - complexity: O(online)
 */
export const presenceSnapshotScript: TypedScript<
  readonly [version: number, changes: string, entries: readonly string[]]
> = {
  name: 'presence-snapshot',
  lua: `${luaClock}${luaPresence}
repeat dropDue() until not undropped
local version, text = finish(ARGV[1])
local found = {}
for _, entry in ipairs(redis.call('ZRANGE', online, 0, -1)) do
  found[#found + 1] = entry
  found[#found + 1] = redis.call('HGET', facts, 'm' .. entry) or ''
end
return {version, text, found}
`,
};
