/** What the token of one who is not woken by a message begins with. */
export const polling = '~';

/** How long a lock that nobody holds is remembered, so that its tokens grow even if the clock is set back. */
const rememberedMs = 3_600_000;

/**
 * What the scripts of locks share. The keys are the holders (a sorted set by the time at which each expires), the queue
 * (a sorted set by arrival) and the meta data (a hash: the last fencing token, and for each in the queue until when it is
 * believed to be there and how long it holds what is handed over to it, in ms).
 *
 * `keep(key, ms)` keeps a key at least that long. `holds(token)`: its place among the holders has not expired.
 * `newFence()`: a fencing token greater than any before.
 *
 * `handOver(permits, me)` gives what is free to those in the queue, first come first, and tells each its fencing token;
 * it stops at `me`. One that is gone is passed over: it has not said for a while that it waits, or nobody hears its
 * channel. On a cluster the latter cannot be known; there it loses its turn when the time for which it was given is over.
 */
export const luaLock: string = `
local holders, queue, meta = KEYS[1], KEYS[2], KEYS[3]
local function keep(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, ms) end
end
local function holds(token)
  local till = redis.call('ZSCORE', holders, token)
  return till and tonumber(till) > now
end
local function leave(token)
  redis.call('ZREM', queue, token)
  redis.call('HDEL', meta, token)
end
local function newFence()
  local fence = math.max(tonumber(redis.call('HGET', meta, '#') or 0) + 1, clock)
  redis.call('HSET', meta, '#', string.format('%.0f', fence))
  return fence
end
local function handOver(permits, me, channels, counted)
  redis.call('ZREMRANGEBYSCORE', holders, '-inf', now)
  while redis.call('ZCARD', holders) < permits do
    local first = redis.call('ZRANGE', queue, 0, 0)[1]
    if not first or first == me then return end
    local till, span = string.match(redis.call('HGET', meta, first) or '', '^(%d+):(%d+)$')
    leave(first)
    if till and tonumber(till) > now then
      local there = true
      if string.sub(first, 1, 1) ~= '${polling}' then
        local told = string.format('%s %.0f', first, newFence())
        there = redis.call('PUBLISH', channels .. string.match(first, '^[^:]*'), told) > 0 or not counted
      end
      if there then
        redis.call('ZADD', holders, now + span, first)
        keep(holders, tonumber(span))
      end
    end
  end
end
local function remember(ms) keep(meta, ms + ${rememberedMs}) end
`;
