/** A session as scripts return it; times in milliseconds. */
export type SessionFields = readonly [
  data: string,
  version: number,
  created: number,
  seen: number,
  user: string,
  ends: number,
  expires: number,
];

/** How long it is known where a session went, in ms: longer than what was sent with the old id is under way. */
export const movedMs = 60_000;

/**
 * What scripts that meet the place of a session which was rotated share: `n`, its new handle, is all that stands there.
 *
 * `movedTo(key)`: that handle, or nothing.
 */
export const luaMoved = `
local function movedTo(key)
  return redis.pcall('HMGET', key, 'n')[1]
end
`;

/**
 * What the scripts of sessions share. A session is a hash: `d` data, `v` version, `c` when it was created, `s` when it
 * was seen last, `u` user, `e` when it ends at the latest; times in milliseconds.
 *
 * `read(key)`: its fields, or nothing if there is none, it is over, or something else stands there.
 * `slide(key, f, idle)`: it was seen now; written only once per tenth of `idle`. `all(f)`: as it is returned.
 */
export const luaSession = `
local function read(key)
  local f = redis.pcall('HMGET', key, 'd', 'v', 'c', 's', 'u', 'e')
  if f.err or not (f[1] and f[5]) then return nil end
  for i, name in ipairs({2, 3, 4, 6}) do
    f[name] = tonumber(f[name] or '')
    if not f[name] then return nil end
  end
  if f[6] <= now then return nil end
  return f
end
local function slide(key, f, idle)
  if now - f[4] < idle / 10 then return end
  f[4] = now
  -- First what a server without memory allows, so that it allows the other, too: it takes no more than before.
  redis.call('PEXPIRE', key, math.min(idle, f[6] - now))
  redis.call('HSET', key, 's', string.format('%.0f', now))
end
local function all(key, f)
  return {f[1], f[2], f[3], f[4], f[5], f[6], now + redis.call('PTTL', key)}
end
`;
