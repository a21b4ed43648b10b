/** Lua functions that several algorithms call. */
export const sharedLua: Readonly<Record<'counted' | 'stored' | 'logged' | 'packed', string>> = {
  // A window that counts: what is left of it, what was taken in it, what is left of a block and why. The value is the
  // count, and in a blocked key: count!until!end of the window!reason.
  counted: `
local function counted(key, window, now)
  local ttl, blocked, why = redis.call('PTTL', key), 0, nil
  if ttl <= 0 then
    if ttl == -1 then redis.call('DEL', key) end
    return 0, 0, 0
  end
  local value = redis.pcall('GET', key)
  local taken = tonumber(value)
  if not taken and type(value) == 'string' then
    local count, untilAt, endAt, reason = string.match(value, '^(%d+)!(%d+)!(%d+)!(.*)$')
    if count then
      blocked, ttl, why = math.max(0, untilAt - now), math.max(0, endAt - now), reason
      taken = ttl > 0 and tonumber(count) or 0
    end
  end
  taken = math.floor(taken or 0)
  if not (taken > 0 and taken < 9007199254740992) then taken, ttl = 0, 0 end
  if ttl > window then
    if not why then redis.call('PEXPIRE', key, window) end
    ttl = window
  end
  return ttl, taken, blocked, why
end`,
  // What to store for such a window.
  stored: `
local function stored(taken, ttl, blocked, why, now)
  if blocked <= 0 then return ttl, string.format('%.0f', taken) end
  return math.max(ttl, blocked),
    string.format('%.0f!%.0f!%.0f!%s', taken, now + blocked, now + ttl, why)
end`,
  // A log of tokens: the value, where its first token that still counts begins, how many count, what is left of a
  // block and why. A token is its instant modulo 2^32; the value begins with L, in a blocked key with B, the end of
  // the block and the reason.
  logged: `
local function age(value, position, now)
  local ms = (now - struct.unpack('>I4', value, position)) % 4294967296
  if ms > 4200000000 then return 0 end
  return ms
end
local function logged(key, window, now)
  local ttl, from, blocked, why = redis.call('PTTL', key), 2, 0, nil
  if ttl <= 0 then
    if ttl == -1 then redis.call('DEL', key) end
    return '', 1, 0, 0
  end
  local value = redis.pcall('GET', key)
  if type(value) ~= 'string' then return '', 1, 0, 0 end
  if string.byte(value) == 66 then
    local untilAt, reason, position = string.match(value, '^B(%d+)!([^!]*)!()')
    if not untilAt then return '', 1, 0, 0 end
    from, blocked, why = position, math.max(0, untilAt - now), reason
  elseif string.byte(value) ~= 76 then
    return '', 1, 0, 0
  end
  if ttl > window and not why then redis.call('PEXPIRE', key, window) end
  local all = (#value - from + 1) / 4
  if all % 1 ~= 0 then return '', 1, 0, 0 end
  local low, high = 0, all
  while low < high do
    local middle = math.floor((low + high) / 2)
    if age(value, from + 4 * middle, now) >= window then low = middle + 1 else high = middle end
  end
  return value, from + 4 * low, all - low, blocked, why
end`,
  // What to store for such a log; `tokens` are packed instants, oldest first.
  packed: `
local function packed(tokens, window, blocked, why, now)
  local ttl = 0
  if #tokens > 0 then
    local newest = #tokens - 3
    local ms = (now - struct.unpack('>I4', tokens, newest)) % 4294967296
    if ms > 4200000000 then ms = ms - 4294967296 end
    ttl = window - ms
  end
  if blocked <= 0 then return ttl, 'L' .. tokens end
  return math.max(ttl, blocked), string.format('B%.0f!%s!', now + blocked, why) .. tokens
end`,
};
