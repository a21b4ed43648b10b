import { luaRoom } from './presence-room.ts';

/** Most members that one call drops; the rest is dropped by the next. */
const dropAtOnce = 1_000;
/** How long the version of a tenant without anybody is remembered. */
const rememberedMs = 60_000;

/**
 * What the scripts of presence share. The keys are who is online (a sorted set of entries by the time at which each
 * drops out) and the facts (a hash: `v` version, `x` by how much the entries outnumber the members, and for an entry or
 * member what is not usual: `u` how many entries a member with devices has, `m` metadata, `r` why it leaves when its
 * grace is over, `s` the process that holds it).
 *
 * `arrive(entry, meta, server, till)` gives 1 if its member was away. `leave(entry, reason)`. `part(entry, reason,
 * grace)`: the same after a grace. `dropDue()`: those who were not seen for too long. `finish(channel)`: counts, keeps
 * and tells the changes, and gives the version and their text, empty if there are none.
 */
export const luaPresence: string = `${luaRoom}
local online, facts = KEYS[1], KEYS[2]
local changes, undropped = {}, false
local function keep(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, ms) end
end
local function memberOf(entry) return string.match(entry, '^[^%z]*') end
local function joined(entry)
  local member = memberOf(entry)
  local count = 'u' .. member
  if entry == member then
    if redis.call('HEXISTS', facts, count) == 0 then return 1 end
  elseif redis.call('HINCRBY', facts, count, 1) == 1 then
    if not redis.call('ZSCORE', online, member) then return 1 end
  else
    redis.call('HINCRBY', facts, 'x', 1)
    return 0
  end
  redis.call('HINCRBY', facts, count, 1)
  redis.call('HINCRBY', facts, 'x', 1)
  return 0
end
local function leave(entry, reason)
  if redis.call('ZREM', online, entry) == 0 then return end
  local count, alone = 'u' .. memberOf(entry), 1
  local left = redis.call('HGET', facts, count)
  if left and tonumber(left) > 1 then
    alone = 0
    redis.call('HINCRBY', facts, count, -1)
    redis.call('HINCRBY', facts, 'x', -1)
  elseif left then
    redis.call('HDEL', facts, count)
  end
  redis.call('HDEL', facts, 'm' .. entry, 'r' .. entry, 's' .. entry)
  changes[#changes + 1] = {'l', entry, alone, reason}
end
local function drop(entry) leave(entry, redis.call('HGET', facts, 'r' .. entry) or 'timeout') end
local function dropDue()
  local due = redis.call('ZRANGEBYSCORE', online, '-inf', string.format('%.0f', now), 'LIMIT', 0, ${dropAtOnce})
  for _, entry in ipairs(due) do drop(entry) end
  undropped = #due == ${dropAtOnce}
end
local function arrive(entry, meta, server, till)
  if undropped then
    local before = redis.call('ZSCORE', online, entry)
    if before and tonumber(before) <= now then drop(entry) end
  end
  local alone, came = 0, not redis.call('ZSCORE', online, entry)
  if came then alone = joined(entry) end
  redis.call('ZADD', online, string.format('%.0f', till), entry)
  local said = meta ~= '' and redis.call('HGET', facts, 'm' .. entry) ~= meta
  if said then redis.call('HSET', facts, 'm' .. entry, meta) end
  if server ~= '' then redis.call('HSET', facts, 's' .. entry, server) end
  if came then
    changes[#changes + 1] = {'j', entry, alone, meta}
  else
    redis.call('HDEL', facts, 'r' .. entry)
    if server == '' then redis.call('HDEL', facts, 's' .. entry) end
    if said then changes[#changes + 1] = {'u', entry, 0, meta} end
  end
  return alone
end
local function part(entry, reason, grace)
  local till = redis.call('ZSCORE', online, entry)
  if not till then return 0 end
  noMore(online)
  if grace == 0 then
    leave(entry, reason)
  else
    if tonumber(till) > now + grace then
      redis.call('ZADD', online, string.format('%.0f', now + grace), entry)
    end
    redis.call('HSET', facts, 'r' .. entry, reason)
    redis.call('HDEL', facts, 's' .. entry)
  end
  return 1
end
local function finish(channel)
  if redis.call('EXISTS', facts) == 1 then keep(facts, math.max(redis.call('PTTL', online), ${rememberedMs})) end
  if #changes == 0 then return tonumber(redis.call('HGET', facts, 'v') or 0), '' end
  if redis.call('HEXISTS', facts, 'v') == 0 then
    redis.call('HSET', facts, 'v', string.format('%.0f', clock))
    keep(facts, math.max(redis.call('PTTL', online), ${rememberedMs}))
  end
  local version = redis.call('HINCRBY', facts, 'v', #changes)
  local text = cjson.encode({string.format('%.0f', version), changes})
  if channel ~= '' then redis.call('PUBLISH', channel, text) end
  return version, text
end
`;
