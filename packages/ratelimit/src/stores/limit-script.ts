import type { RedisScript } from '@cachekit/core';
import type { Algorithm } from '../algorithms/algorithm.ts';
import { sharedLua } from '../algorithms/shared-lua.ts';

const single = new Map<string, RedisScript>();
const combined = new Map<string, RedisScript>();

/**
 * The script that takes from one key per check, for checks of one algorithm.
 *
 * KEYS: one per check. ARGV: the deadline by the clock of the server (0: none), then the cost and the numbers of the
 * rule of each check. Returns: the time of the server, then for each check 1 or 0 (taken or not), 3 (its edges are not
 * those of now), or the text of an error, and what was found.
 *
 * After the deadline it counts nothing and returns the time alone: nobody waits for the answer any more.
 *
 * O(number of checks). Counting and expiring are one write.
 */
export function takeScript(algorithm: Algorithm): RedisScript {
  const { version, parameters, width } = algorithm;
  let script = single.get(version);
  if (script === undefined) {
    const found = width === 2 ? 'x, y' : 'x, y, z';
    const numbers = parameters.map((_, i) => `tonumber(ARGV[a + ${i + 1}])`).join(', ');
    const slots = Array.from({ length: width }, (_, i) => `reply[r + ${i + 2}]`).join(', ');
    script = {
      name: `ratelimit-take-${version}`,
      lua: `${prologue}${declarations([algorithm], ['take'])}
local r, a = 1, 2
for i = 1, #KEYS do
  local key = KEYS[i]
  local ${found}, px, value = ${version}_take(key, tonumber(ARGV[a]), false, now, ${numbers})
  reply[r + 1], ${slots} = 0, ${found}
  if not x then
    reply[r + 1], ${slots} = 3${', 0'.repeat(width)}
  elseif px then
    reply[r + 1] = write(key, px, value) or 1
  end
  r, a = r + ${width + 1}, a + ${parameters.length + 1}
end
return reply`,
    };
    single.set(version, script);
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
  const name = algorithms.map(({ version }) => version).join('-');
  let script = combined.get(name);
  if (script === undefined) {
    script = { name: `ratelimit-${name}`, lua: general(algorithms) };
    combined.set(name, script);
  }
  return script;
}

// `now` and `deadline` are milliseconds of the server's clock.
const prologue = `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local reply = { now }
if tonumber(ARGV[1]) > 0 and now > tonumber(ARGV[1]) then return reply end
local function write(key, px, value)
  local done
  if px > 0 then
    -- Text as it stands, because writing a number costs more than the rest of this.
    done = redis.pcall('SET', key, value == 0 and '0' or value, 'PX', px)
  else
    done = redis.pcall('SET', key, value, 'KEEPTTL')
  end
  return done.err
end
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
      if rule[5] == 2 then
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
      reply[r + 1], reply[r + 2] = x, y
      if rule[5] == 3 then reply[r + 3] = z end
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
