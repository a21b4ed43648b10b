import type { RedisExecutor } from '@cachekit/core';

// The scripts of the product run unchanged, in Redis, but the commands they call find a clock that the test sets:
// state and expiry of every key are kept in one hash, and what has run out is not there.
const virtualRedis = `
local now = tonumber(table.remove(ARGV))
local hash = table.remove(KEYS)
local server = redis
local function expiry(key)
  return tonumber(server.call('HGET', hash, 'at:' .. key) or '')
end
local function lives(key)
  local at = expiry(key)
  return at ~= nil and at >= now
end
local commands = {
  PTTL = function(key) if lives(key) then return expiry(key) - now end return -2 end,
  GET = function(key) return lives(key) and server.call('HGET', hash, 'value:' .. key) end,
  TIME = function() return { tostring(math.floor(now / 1000)), tostring(now % 1000 * 1000) } end,
  DEL = function(key) return server.call('HDEL', hash, 'at:' .. key, 'value:' .. key) end,
  PEXPIRE = function(key, ms) return server.call('HSET', hash, 'at:' .. key, now + ms) end,
  SET = function(key, value, option, ms)
    server.call('HSET', hash, 'value:' .. key, value)
    if option == 'PX' then
      assert(tonumber(ms) > 0)
      server.call('HSET', hash, 'at:' .. key, now + ms)
      return { ok = 'OK' }
    end
    assert(option == 'KEEPTTL' and lives(key))
    return { ok = 'OK' }
  end,
}
local redis = { call = function(name, ...) return commands[name](...) end }
redis.pcall = redis.call
`;

/** An executor whose scripts see the time that `now()` gives, and whose keys live in the hash `hash`. */
export function virtualTime(real: RedisExecutor, hash: string, now: () => number): RedisExecutor {
  return {
    capabilities: real.capabilities,
    command: (name, ...args) =>
      name === 'DEL'
        ? real.command('HDEL', hash, `at:${args[0]}`, `value:${args[0]}`)
        : real.command(name, ...args),
    script: ({ name, lua }, keys, args) =>
      real.script({ name, lua: virtualRedis + lua }, [...keys, hash], [...args, now()]),
    scan: (prefix) => real.scan(prefix),
    subscriber: () => real.subscriber(),
    close: () => real.close(),
  };
}
