import { entryFields, entryHeaderLength, entryKinds, entryMagic, noToken } from '@cachekit/core';

/** Sets `clock` (microseconds, always even) and `now` (milliseconds) by the server's own time. */
export const luaClock = `
local time = redis.call('TIME')
local clock = time[1] * 1000000 + time[2] - time[2] % 2
local now = math.floor(clock / 1000)
`;

/** `digits(value, length)`: a whole number with leading zeros, cut to what its field can hold. */
export const luaDigits = `
local function digits(value, length)
  local most = 10 ^ length - 1
  if value > most then value = most end
  return string.format('%0' .. length .. '.0f', math.floor(value))
end
`;

/**
 * Among the keys of a message, begins the version that the one before it has now. A message that begins with it tells of
 * one entry: its version and its key follow.
 */
export const storedMark = '=';

/** Stands before the channel where the last of KEYS is the log of changes. */
export const loggedMark = '+';

/** Begins a published message that was logged too: its id there and a space follow, and then the message. */
export const idMark = '@';

/** How many changes the log keeps, about. */
export const loggedChanges = 10_000;

/**
 * Tells the other processes what changed, over the channel and the log in `ARGV[1]`; empty means to nobody. The log is
 * appended to while it is there: who reads it makes it. It is taken away from KEYS, so this stands before whatever counts
 * them.
 *
 * `publish(keys)`: these keys, as a JSON array. `stored(key, text)`: notes this key, with the version of what it holds now,
 * so that a process that has the very same in memory need not read it again; `publishStored()` tells of all that were noted.
 */
export const luaPublish: string = `
local channel, log = ARGV[1], nil
if string.sub(channel, 1, 1) == '${loggedMark}' then
  channel, log = string.sub(channel, 2), table.remove(KEYS)
end
local function tell(message)
  local id = log and redis.call('XADD', log, 'NOMKSTREAM', 'MAXLEN', '~', ${loggedChanges}, '*', 'm', message)
  if channel == '' then return end
  redis.call('PUBLISH', channel, id and '${idMark}' .. id .. ' ' .. message or message)
end
local function publish(keys)
  if ARGV[1] ~= '' then tell(cjson.encode(keys)) end
end
local noted = {}
local function stored(key, text)
  if ARGV[1] == '' then return end
  local version = string.sub(text, ${entryFields.version.start + 1}, ${entryFields.version.start + entryFields.version.length})
  noted[#noted + 1] = key
  noted[#noted + 1] = '${storedMark}' .. version
end
local function publishStored()
  if #noted > 0 then publish(noted) end
end
`;

const number = (field: { readonly length: number }): string => '%d'.repeat(field.length);
const token = (field: { readonly length: number }): string => '[%w_%-]'.repeat(field.length);
const tokenOrNone = (field: { readonly length: number }): string => '[%w_%.%-]'.repeat(field.length);

/** What a header looks like, as a Lua pattern that captures the kind and the codec, which only a lease has none of. */
const headerPattern = `^${entryMagic}([${Object.values(entryKinds).join('')}])([%a%-])${[
  number(entryFields.clock),
  number(entryFields.freshUntil),
  token(entryFields.version),
  tokenOrNone(entryFields.refreshToken),
  number(entryFields.refreshUntil),
  number(entryFields.loadMs),
  number(entryFields.tagBytes),
].join('')}$`;

/** Begins the reply to a request that Redis refused, such as a write while its memory is full; its error follows. */
export const refusedMark = '!';

/** The Lua expression of one field of `header`, or of the text in another variable. */
export function luaField(name: keyof typeof entryFields, variable = 'header'): string {
  const { start, length } = entryFields[name];
  return `string.sub(${variable}, ${start + 1}, ${start + length})`;
}

/** Where `SETRANGE` writes to end a refresh, and what: no token and no time follow each other in the header. */
export const refreshStart: number = entryFields.refreshToken.start;
export const noRefresh: string = noToken + '0'.repeat(entryFields.refreshUntil.length);

/** What follows in the header of a lease. */
export const noRest: string = '0'.repeat(entryFields.loadMs.length + entryFields.tagBytes.length);

/** The whole of a lease, as a Lua pattern that captures its token. */
const leasePattern = `^${entryMagic}${entryKinds.lease}%-${number(entryFields.clock)}${number(entryFields.freshUntil)}(${token(entryFields.version)})${`${noRefresh}${noRest}`.replaceAll('.', '%.')}$`;

/**
 * `headerOf(key)`: the header and the kind of what is stored, or nothing if it is absent, of another type or format, or
 * cut short. The payload stays where it is.
 */
export const luaHeader: string = `
local function headerOf(key)
  local header = redis.pcall('GETRANGE', key, 0, ${entryHeaderLength - 1})
  if type(header) ~= 'string' then return nil end
  local kind, codec = string.match(header, '${headerPattern}')
  if not kind or (codec == '-') ~= (kind == '${entryKinds.lease}') then return nil end
  local length = redis.call('STRLEN', key)
  if kind == '${entryKinds.lease}' then
    if length ~= ${entryHeaderLength} or string.sub(header, ${refreshStart + 1}) ~= '${noRefresh}${noRest}' then return nil end
  elseif length < ${entryHeaderLength} + tonumber(${luaField('tagBytes')}) then
    return nil
  end
  return header, kind
end
`;

/**
 * `leaseOf(key)`: the token of the lease that stands in place of a value, or nothing if there is none or it is damaged.
 */
export const luaLease: string = `
local function leaseOf(key)
  local header = redis.pcall('GETRANGE', key, 0, ${entryHeaderLength})
  return type(header) == 'string' and string.match(header, '${leasePattern}')
end
`;

/**
 * `each(first, width, begin, replies)`: appends to `replies` what is replied to each request of the call.
 *
 * The entries stand first in KEYS, in the order of the requests, and then each tag once. In ARGV stand from `first` on the
 * requests, those that follow each other and have the same tags and settings as one run: how many they are, the places of
 * their tags in KEYS, `width` settings, and then one argument for each. `begin(tags, arg)`, where `ARGV[arg]` is the
 * first setting of a run, gives the function that carries out one of them: it takes its entry and its argument and gives the
 * reply. An error of one is its reply, and the others are carried out.
 */
export const luaEach: string = `
local function each(first, width, begin, replies)
  local last, arg, entry = #ARGV, first, 0
  while arg <= last do
    local tags = {}
    for place in string.gmatch(ARGV[arg + 1], '%d+') do tags[#tags + 1] = KEYS[tonumber(place)] end
    local one = begin(tags, arg + 2)
    local from = arg + 2 + width
    arg = from + ARGV[arg]
    for item = from, arg - 1 do
      entry = entry + 1
      local done, reply = pcall(one, KEYS[entry], ARGV[item])
      if not done then reply = '${refusedMark}' .. tostring(type(reply) == 'table' and reply.err or reply) end
      replies[#replies + 1] = reply
    end
  end
  return replies
end
`;

/** `outlive(key, ms)`: an entry that expired during its refresh would take the lease with it. */
export const luaOutlive = `
local function outlive(key, ms)
  local left = redis.call('PTTL', key)
  if left >= 0 and left < ms then redis.call('PEXPIRE', key, ms) end
end
`;

/** How long the server keeps the version of a tag at least, so that it outlives every load that is under way. */
const tagKeptMs = 3_600_000;

/**
 * `versionOf(tag)`: the clock of its last bump, or `false` if the server does not know the tag.
 * `storeTag(tag, version, ms)`: makes it known, for at least `ms`.
 * `keepTag(tag, version, ms)`: keeps it at least as long as the entry that carries it, and prolongs it rarely, because
 * that counts as a change for those who track keys; one that was unknown gets `version`, which is told to nobody, because
 * nobody trusts an entry less for it.
 *
 * The requests of one call often carry the same tags, so what is known of a tag is remembered to the end of the call.
 */
export const luaTags: string = `
local versions, kept = {}, {}
local function versionOf(tag)
  local version = versions[tag]
  if version == nil then
    local stored = redis.pcall('GET', tag)
    version = type(stored) == 'string' and #stored <= 16 and string.match(stored, '^%d+$') and tonumber(stored) or false
    versions[tag] = version
  end
  return version
end
local function storeTag(tag, version, ms)
  redis.call('SET', tag, string.format('%.0f', version), 'PX', math.max(ms, ${tagKeptMs}))
  versions[tag], kept[tag] = version, math.max(ms, ${tagKeptMs})
end
local function keepTag(tag, version, ms)
  if not versionOf(tag) then return storeTag(tag, version, ms) end
  if ms <= (kept[tag] or 0) then return end
  local left = redis.call('PTTL', tag)
  if left >= 0 and left < ms then redis.call('PEXPIRE', tag, math.max(2 * ms, ${tagKeptMs})) end
  kept[tag] = ms
end
`;
