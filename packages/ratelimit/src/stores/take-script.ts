import type { RedisScript } from '@cachekit/core';
import type { Algorithm } from '../algorithms/algorithm.ts';
import type { Policy } from '../policy.ts';

const single = new Map<Algorithm, RedisScript>();
const combined = new Map<string, RedisScript>();

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
  if (policies.length === 1) return takeOne((policies[0] as Policy).algorithm);
  const algorithms = [...new Set(policies.map(({ algorithm }) => algorithm))];
  const name = algorithms.map(({ version }) => version).join('-');
  let script = combined.get(name);
  if (script === undefined) {
    script = { name: `ratelimit-take-all-${name}`, lua: declarations(algorithms) + takeAll(algorithms) };
    combined.set(name, script);
  }
  return script;
}

function takeOne(algorithm: Algorithm): RedisScript {
  let script = single.get(algorithm);
  if (script === undefined) {
    const { version } = algorithm;
    script = { name: `ratelimit-take-${version}`, lua: declarations([algorithm]) + takeOneFrom(version) };
    single.set(algorithm, script);
  }
  return script;
}

function declarations(algorithms: readonly Algorithm[]): string {
  const rules = algorithms.map(
    ({ version, lua }) => `local function ${version}(key, ttl, limit, window, cost)${lua}\nend\n`,
  );
  return `${rules.join('')}local cost = tonumber(ARGV[1])\n`;
}

// Sets `ttl`, and mends the key if it would outlive its window or never end.
const readTtl = `
  local ttl = redis.call('PTTL', key)
  if ttl > window then
    redis.call('PEXPIRE', key, window)
    ttl = window
  elseif ttl < 0 then
    if ttl == -1 then redis.call('DEL', key) end
    ttl = 0
  end`;

// The same as the general script for one key, without its tables.
function takeOneFrom(version: string): string {
  return `local key, window = KEYS[1], tonumber(ARGV[4])${readTtl}
local value, nextTtl, nextValue = ${version}(key, ttl, tonumber(ARGV[3]), window, cost)
if not nextTtl then return { 0, ttl, value } end
if nextTtl > 0 then
  redis.call('SET', key, nextValue, 'PX', nextTtl)
else
  redis.call('SET', key, nextValue, 'KEEPTTL')
end
return { 1, ttl, value }`;
}

function takeAll(algorithms: readonly Algorithm[]): string {
  const choice = algorithms.map(({ version }) => `${version} = ${version}`).join(', ');
  return `local rules = { ${choice} }
local reply = { 1 }
local ttls, values = {}, {}
for i = 1, #KEYS do
  local key, window = KEYS[i], tonumber(ARGV[3 * i + 1])${readTtl}
  local value
  value, ttls[i], values[i] = rules[ARGV[3 * i - 1]](key, ttl, tonumber(ARGV[3 * i]), window, cost)
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
