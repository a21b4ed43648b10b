import type { RedisScript } from '@cachekit/core';

/**
 * Reads what came after a position, or says where the log is.
 *
 * KEYS: meta, stream, origins. ARGV: epoch for a new log, ms to keep an idle log, epoch of the position (empty: only
 * the place is asked for), offset of the position, limit. Returns `epoch, offset, verdict, rows` with the verdict
 * `rows`, `epoch` or `trimmed`.
 *
 * Epoch, number and rows are of one moment: rows begin right after the position or there is a verdict that says why
 * not. O(rows returned).
 */
export const readScript: RedisScript = {
  name: 'realtime.read',
  lua: `
local meta, stream, origins = KEYS[1], KEYS[2], KEYS[3]
local epoch = redis.call('HGET', meta, 'epoch')
if not epoch then
  epoch = ARGV[1]
  redis.call('DEL', meta, stream, origins)
  redis.call('HSET', meta, 'epoch', epoch, 'offset', '0')
end
redis.call('PEXPIRE', meta, ARGV[2])
redis.call('PEXPIRE', stream, ARGV[2])
redis.call('PEXPIRE', origins, ARGV[2])
local top = tonumber(redis.call('HGET', meta, 'offset'))
if ARGV[3] == '' then return { epoch, top, 'rows', {} } end
local from, limit = tonumber(ARGV[4]), tonumber(ARGV[5])
if ARGV[3] ~= epoch or from > top then return { epoch, top, 'epoch', {} } end
local missing = math.min(top - from, limit)
if missing == 0 then return { epoch, top, 'rows', {} } end
local rows = redis.call('XRANGE', stream, string.format('%.0f-0', from + 1), '+', 'COUNT', missing)
if #rows ~= missing or rows[missing][1] ~= string.format('%.0f-0', from + missing) then
  return { epoch, top, 'trimmed', {} }
end
local flat = {}
for n, row in ipairs(rows) do
  flat[2 * n - 1] = row[2][2]
  flat[2 * n] = row[2][4]
end
return { epoch, top, 'rows', flat }
`,
};
