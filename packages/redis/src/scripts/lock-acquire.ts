import type { TypedScript } from '../script.ts';
import { luaClock } from './fragments.ts';
import { luaLock } from './lock-fragments.ts';

/**
 * Takes a lock, or a place in the queue for it.
 *
 * Asked again with the same token it renews the place in the queue, takes what was reserved meanwhile, or holds on to
 * what it has, under a new fencing token.
 *
 * - KEYS: holders, queue, meta
 * - ARGV: token, ttl in ms, permits, how long the place in the queue is kept in ms (0: no place), prefix of the
 *   channels of those who wait, 1 if the server knows whether a channel is heard, for how long it is handed over in ms
 * - returns: `{fencing token}` · `{0, ms until the first holder expires, the last fencing token that was given}`
 * - complexity: O(log waiting + handed over)
 */
export const lockAcquireScript: TypedScript<
  readonly [fence: number, firstExpiryMs: number, lastFence: number] | readonly [fence: number]
> = {
  name: 'lock-acquire',
  lua: `${luaClock}${luaLock}
local token, ttl, permits, stay = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local function fenced()
  local fence = newFence()
  remember(ttl)
  redis.call('ZADD', holders, now + ttl, token)
  keep(holders, ttl)
  return {fence}
end
local function take()
  leave(token)
  return fenced()
end
-- Nearly always nobody else wants it.
if redis.call('EXISTS', holders, queue) == 0 then return fenced() end
if holds(token) then return take() end
handOver(permits, token, ARGV[5], ARGV[6] == '1')
if redis.call('ZCARD', holders) < permits then return take() end
if stay > 0 then
  if not redis.call('ZSCORE', queue, token) then
    local last = tonumber(redis.call('ZRANGE', queue, -1, -1, 'WITHSCORES')[2] or 0)
    redis.call('ZADD', queue, string.format('%.0f', math.max(last + 1, clock)), token)
  end
  redis.call('HSET', meta, token, string.format('%.0f:%s', now + stay, ARGV[7]))
  remember(stay)
  keep(queue, redis.call('PTTL', meta))
end
local first = tonumber(redis.call('ZRANGE', holders, 0, 0, 'WITHSCORES')[2])
return {0, math.max(0, first - now), tonumber(redis.call('HGET', meta, '#'))}
`,
};
