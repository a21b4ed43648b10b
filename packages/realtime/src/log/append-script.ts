import type { RedisScript } from '@cachekit/core';

/**
 * Appends records to the log of one tenant and tells the followers.
 *
 * KEYS: meta (hash: `epoch`, `offset`), stream, origins (sorted set: origin by the offset it was first seen at).
 * ARGV: epoch for a new log, ms to keep an idle log, length, channel, epoch and offset the caller knows to be reached
 * (empty and 0: none), then origin (empty: none), type and body of each record. Returns `epoch, offset after it,
 * records appended`.
 *
 * Numbers, stream and message come from one script, so that no two processes can publish in another order than they
 * number, and no message is without its record. A log that is shorter than it was known to be has lost records (a
 * failover): it begins anew, so that no number ever stands for two events. What is published: `epoch SPACE first`, then a line for each type and
 * each body. O(records · log length).
 */
export const appendScript: RedisScript = {
  name: 'realtime.append',
  lua: `
local meta, stream, origins = KEYS[1], KEYS[2], KEYS[3]
local keep, length = ARGV[2], tonumber(ARGV[3])
local epoch = redis.call('HGET', meta, 'epoch')
local lost = epoch and epoch == ARGV[5] and tonumber(redis.call('HGET', meta, 'offset')) < tonumber(ARGV[6])
if not epoch or lost then
  epoch = ARGV[1]
  redis.call('DEL', meta, stream, origins)
  redis.call('HSET', meta, 'epoch', epoch, 'offset', '0')
end
local fresh, verdict = {}, {}
for i = 7, #ARGV, 3 do
  local origin = ARGV[i]
  if origin ~= '' and verdict[origin] == nil then
    verdict[origin] = not redis.call('ZSCORE', origins, origin)
  end
  if origin == '' or verdict[origin] then fresh[#fresh + 1] = i end
end
local top = redis.call('HINCRBY', meta, 'offset', #fresh)
if #fresh > 0 then
  local first = top - #fresh + 1
  local message = { string.format('%s %.0f', epoch, first) }
  for n, i in ipairs(fresh) do
    local offset = string.format('%.0f', first + n - 1)
    redis.call('XADD', stream, 'MAXLEN', '~', length, offset .. '-0', 't', ARGV[i + 1], 'b', ARGV[i + 2])
    if ARGV[i] ~= '' then redis.call('ZADD', origins, 'NX', offset, ARGV[i]) end
    message[#message + 1] = ARGV[i + 1]
    message[#message + 1] = ARGV[i + 2]
  end
  redis.call('ZREMRANGEBYSCORE', origins, '-inf', string.format('%.0f', top - 2 * length))
  redis.call('PUBLISH', ARGV[4], table.concat(message, '\\n'))
end
redis.call('PEXPIRE', meta, keep)
redis.call('PEXPIRE', stream, keep)
redis.call('PEXPIRE', origins, keep)
return { epoch, top, #fresh }
`,
};
