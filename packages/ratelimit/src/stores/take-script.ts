import type { RedisScript } from '@cachekit/core';
import type { Algorithm } from '../algorithms/algorithm.ts';
import type { Policy } from '../policy.ts';

const scripts = new Map<string, RedisScript>();

/**
 * The script that takes from the keys of `policies`, all or nothing; it holds the algorithms that are asked for.
 *
 * KEYS: one per policy. ARGV: the cost, then version, limit and window of each policy.
 * Returns: 1 or 0 (taken or not), then time to live and value of each key as they were before.
 *
 * O(number of policies). Nothing is written if one says no, except that a key that would outlive its window, or
 * never end, is mended.
 */
export function takeScript(policies: readonly Policy[]): RedisScript {
  let name = '';
  for (const { algorithm } of policies) {
    if (!name.includes(algorithm.version)) name += `-${algorithm.version}`;
  }
  let script = scripts.get(name);
  if (script === undefined) {
    const used = new Set(policies.map(({ algorithm }) => algorithm));
    script = { name: `ratelimit-take${name}`, lua: source([...used]) };
    scripts.set(name, script);
  }
  return script;
}

function source(algorithms: readonly Algorithm[]): string {
  const rules = algorithms.map(
    ({ version, lua }) => `local function ${version}(key, ttl, limit, window, cost)${lua}\nend`,
  );
  const choice = algorithms.map(({ version }) => `${version} = ${version}`).join(', ');
  return `${rules.join('\n')}
local rules = { ${choice} }
local cost = tonumber(ARGV[1])
local reply = { 1 }
local ttls, values = {}, {}
for i = 1, #KEYS do
  local key = KEYS[i]
  local limit, window = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  local ttl = redis.call('PTTL', key)
  if ttl > window then
    redis.call('PEXPIRE', key, window)
    ttl = window
  elseif ttl == -1 then
    redis.call('DEL', key)
  end
  if ttl < 0 then ttl = 0 end
  local value
  value, ttls[i], values[i] = rules[ARGV[3 * i - 1]](key, ttl, limit, window, cost)
  reply[2 * i], reply[2 * i + 1] = ttl, value
  if not ttls[i] then reply[1] = 0 end
end
if reply[1] == 1 then
  for i = 1, #KEYS do
    if ttls[i] > 0 then
      redis.call('SET', KEYS[i], values[i], 'PX', ttls[i])
    else
      redis.call('SET', KEYS[i], values[i], 'KEEPTTL')
    end
  end
end
return reply`;
}
