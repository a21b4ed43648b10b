import type { RedisScript } from '@cachekit/core';
import type { Algorithm } from '../algorithms/algorithm.ts';
import { sharedLua } from '../algorithms/shared-lua.ts';

const takes = new Map<string, RedisScript>();
const combined = new Map<string, RedisScript>();

/** Most policies of a check that `takeScript()` takes from: each has local variables of its own, and Lua has 200. */
export const mostTaken = 8;

/**
 * The script that takes from the keys of checks whose policies have these algorithms, from all keys of a check or from none.
 *
 * KEYS: one per policy of each check. ARGV: the deadline by the clock of the server (0: none), then the cost and the
 * numbers of the rules, once if they are the same for all checks, else for each check. Returns: the time of the server,
 * then what was found for each key; where all of it is numbers, as one text with spaces. The first value of a check, which is never negative, says how it ended: as it is, it was taken; as -1 minus it, or as a text
 * that begins with a number, it does not fit; the text of an error; nothing, if its edges are not those of now.
 *
 * After the deadline it counts nothing and returns the time alone: nobody waits for the answer any more.
 *
 * O(number of keys). Counting and expiring are one write.
 */
export function takeScript(algorithms: readonly Algorithm[]): RedisScript {
  const name = versionsOf(algorithms);
  let script = takes.get(name);
  if (script === undefined) {
    script = { name: `ratelimit-take-${name}`, lua: taking(algorithms) };
    takes.set(name, script);
  }
  return script;
}

/**
 * The script for everything else: several policies in one check, shadow policies, and the other verbs.
 *
 * KEYS: those of all checks. ARGV: the deadline, then for each check its mode, cost, number of keys and, for each key,
 * version, 1 if it is for show only, `at` or the reason of a block, and the numbers of its rule. Returns: as above; what was found is
 * there for every key of a check, and 0 where nothing is asked.
 */
export function limitScript(algorithms: readonly Algorithm[]): RedisScript {
  const name = versionsOf(algorithms);
  let script = combined.get(name);
  if (script === undefined) {
    script = { name: `ratelimit-${name}`, lua: general(algorithms) };
    combined.set(name, script);
  }
  return script;
}

// `now` and `deadline` are milliseconds of the server's clock.
const prologue = `local call, pcall, format, ceil = redis.call, redis.pcall, string.format, math.ceil
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local reply, deadline = { now }, tonumber(ARGV[1])
if deadline > 0 and now > deadline then return reply end
`;

type Verb = 'take' | 'give' | 'block';

const leading: Readonly<Record<Verb, string>> = {
  take: 'key, cost, force, now',
  give: 'key, cost, at, now',
  block: 'key, duration, reason, now',
};

function declarations(algorithms: readonly Algorithm[], verbs: readonly Verb[]): string {
  const used = new Set(algorithms.flatMap(({ lua }) => lua.uses));
  const shared = [...used].map((name) => sharedLua[name]);
  const rules = algorithms.flatMap(({ version, parameters, lua }) =>
    verbs.map(
      (verb) =>
        `local function ${version}_${verb}(${leading[verb]}, ${parameters.join(', ')})${lua[verb]}\nend\n`,
    ),
  );
  return `${shared.join('')}\n${rules.join('')}`;
}

function versionsOf(algorithms: readonly Algorithm[]): string {
  return algorithms.map(({ version }) => version).join('-');
}

/** Text as it stands, because Redis takes longer to write a number than for all the rest of this. */
function written(key: string, px: string, value: string): string {
  const text = `${value} == 0 and '0' or type(${value}) == 'number' and format('%d', ${value}) or ${value}`;
  return `${px} > 0 and pcall('SET', ${key}, ${text}, 'PX', format('%d', ${px})) or pcall('SET', ${key}, ${text}, 'KEEPTTL')`;
}

/** Everything is written out per policy, because this runs for nearly every request. */
function taking(algorithms: readonly Algorithm[]): string {
  const policies = algorithms.map(({ version, parameters, width }, i) => ({
    key: `keys[k + ${i + 1}]`,
    take: `${version}_take`,
    numbers: parameters.map((_, j) => `n${i}_${j}`),
    found: ['x', 'y', 'z'].slice(0, width).map((letter) => letter + i),
    px: `px${i}`,
    value: `value${i}`,
    done: `done${i}`,
  }));
  const numbers = ['cost', ...policies.flatMap((policy) => policy.numbers)];
  const found = policies.flatMap((policy) => policy.found);
  const all = (each: (policy: (typeof policies)[number]) => string, between: string): string =>
    policies.map(each).join(between);
  const [first, ...others] = found.map((_, i) => `reply[r + ${i + 1}]`);
  const rest = others.length === 0 ? '' : `${others.join(', ')} = ${found.slice(1).join(', ')}`;
  return `${prologue}${declarations([...new Set(algorithms)], ['take'])}
local keys, args, plain = KEYS, ARGV, true
local ${numbers.join(', ')}
local each = #args > ${numbers.length + 1} and ${numbers.length} or 0
local r, a = 1, 2
for k = 0, #keys - 1, ${policies.length} do
  if k == 0 or each > 0 then
    ${numbers.join(', ')} = ${numbers.map((_, i) => `tonumber(args[a + ${i}])`).join(', ')}
    a = a + each
  end
  ${all(({ found: own, px, value, take, key, numbers: rule }) => `local ${own.join(', ')}, ${px}, ${value} = ${take}(${key}, cost, false, now, ${rule.join(', ')})`, '\n  ')}
  if not (${all(({ found: own }) => own[0] as string, ' and ')}) then
    plain = false
    ${[first, ...others].join(', ')} = false${', 0'.repeat(others.length)}
  elseif ${all(({ px }) => px, ' and ')} then
    ${all(({ done, key, px, value }) => `local ${done} = ${written(key, px, value)}`, '\n    ')}
    ${first} = x0
    ${rest}
    if ${all(({ done }) => `${done}.err`, ' or ')} then
      plain = false
      ${first} = ${all(({ done }) => `${done}.err`, ' or ')}
    end
  else
    plain = plain and ${found.map((value) => `type(${value}) == 'number'`).join(' and ')}
    ${first} = type(x0) == 'number' and -1 - x0 or x0
    ${rest}
  end
  r = r + ${found.length}
end
if not plain then return reply end
return format('%d' .. string.rep(' %d', #reply - 1), unpack(reply))`;
}

function general(algorithms: readonly Algorithm[]): string {
  const rows = algorithms.map(
    ({ version, parameters, width }) =>
      `${version} = { ${version}_take, ${version}_give, ${version}_block, ${parameters.length}, ${width} }`,
  );
  return `${prologue}${declarations(algorithms, ['take', 'give', 'block'])}
local rules = { ${rows.join(', ')} }
local function numbers(a)
  return tonumber(ARGV[a]), tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
end
local function write(key, px, value)
  return (${written('key', 'px', 'value')}).err
end
local r, a, k = 1, 2, 1
while ARGV[a] do
  local mode, cost, count = ARGV[a], tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
  local status, s = 1, r + 1
  local writes = {}
  a, r = a + 3, s
  for i = 1, count do
    local rule, key = rules[ARGV[a]], KEYS[k]
    if mode == 'give' then
      rule[2](key, cost, ARGV[a + 2], now, numbers(a + 3))
    elseif mode == 'block' then
      rule[3](key, cost, ARGV[a + 2], now, numbers(a + 3))
    else
      local x, y, z, px, value
      if rule[5] == 1 then
        x, px, value = rule[1](key, cost, mode == 'force', now, numbers(a + 3))
      elseif rule[5] == 2 then
        x, y, px, value = rule[1](key, cost, mode == 'force', now, numbers(a + 3))
      else
        x, y, z, px, value = rule[1](key, cost, mode == 'force', now, numbers(a + 3))
      end
      if not x then
        status, x, y, z = 3, 0, 0, 0
      elseif px then
        writes[#writes + 1] = { key, px, value }
      elseif ARGV[a + 1] == '0' and status == 1 then
        status = 0
      end
      reply[r + 1] = x
      if rule[5] > 1 then reply[r + 2] = y end
      if rule[5] > 2 then reply[r + 3] = z end
      r = r + rule[5]
    end
    a, k = a + 3 + rule[4], k + 1
  end
  if status == 1 and mode ~= 'peek' then
    for i = 1, #writes do status = write(writes[i][1], writes[i][2], writes[i][3]) or status end
  end
  reply[s] = status
end
return reply`;
}
