import type { Redis } from 'ioredis';

// The usual script: the arrival time as text in the value, the clock of the server.
const lua = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local window, limit = tonumber(ARGV[1]) * 1000, tonumber(ARGV[2])
local interval = window / limit
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now) + interval
if tat - now > window then
  return { 0, 0, math.ceil((tat - window - now) / 1000) }
end
redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000))
return { 1, math.floor((window - (tat - now)) / interval), 0 }`;

/** A plain GCRA script, called through ioredis and nothing else. */
export function rawLuaGcra(
  client: Redis,
  limit: number,
  windowMs: number,
): (key: string) => Promise<boolean> {
  client.defineCommand('rawLuaGcra', { numberOfKeys: 1, lua });
  const call = (client as Redis & { rawLuaGcra(...args: unknown[]): Promise<[number, number, number]> })
    .rawLuaGcra;
  return async (key) => (await call.call(client, key, windowMs, limit))[0] === 1;
}
