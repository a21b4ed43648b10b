import { createCache } from '@cachekit/core';
import { redisTier } from '@cachekit/redis';
import { redisCaches } from '../peers/redis-caches.ts';
import { concurrently } from '../runner/contender.ts';
import type { Figure } from '../runner/figure.ts';
import { measure } from '../runner/measure.ts';
import { cpu } from './compared.ts';
import { callsOf, ids, keyOf, parsed } from './values.ts';
import type { WithRedis } from './with-redis.ts';

/** A hundred keys in one call: all in Redis, or half of them in memory. */
export async function many(parts: WithRedis): Promise<Figure[]> {
  return [...(await inRedis(parts)), await halfHeld(parts)];
}

async function inRedis({ url, raw, cached }: WithRedis): Promise<Figure[]> {
  const value = callsOf(2);
  const hundred = ids.slice(0, 100).map((id) => `many:${id}`);
  const peers = redisCaches(raw, url, async (key) => ({ key, ...value }));
  for (const id of hundred) {
    await cached.set(keyOf(id), value);
    await raw.set(`raw:${id}`, JSON.stringify(value), 'EX', 3_600);
    for (const peer of peers) await peer.get(id);
  }
  const ours = hundred.map(keyOf);
  const bare = hundred.map((id) => `raw:${id}`);
  const able = peers.filter(({ getMany }) => getMany !== undefined);
  const samples = await measure({
    contenders: [
      { name: 'ours', run: concurrently(1, () => cached.getMany(ours)) },
      { name: 'ioredis', run: concurrently(1, async () => (await raw.mget(bare)).map(parsed)) },
      ...able.map((peer) => ({
        name: peer.name,
        run: concurrently(1, async () => peer.getMany?.(hundred)),
      })),
    ],
  });
  for (const peer of peers) await peer.close?.();
  return [
    cpu('100 hits in Redis at once to MGET of 100, us of CPU', samples, 'ioredis', 1.1),
    ...able.map(({ name }) => cpu(`100 hits in Redis at once to ${name}, us of CPU`, samples, name, 1)),
  ];
}

async function halfHeld({ redis, raw }: WithRedis): Promise<Figure> {
  const tier = redisTier({ redis, coherence: 'ttl' });
  const cached = createCache({
    memory: { maxEntries: 100 },
    remote: tier,
    policy: { timeout: { hard: '10s' } },
  });
  const value = callsOf(2);
  const halves = 100;
  const every = ids.slice(0, 50).map((id) => `half:${id}`);
  const rest = Array.from({ length: halves }, (_, half) => every.map((id) => `${half}:${id}`));
  for (const id of [...every, ...rest.flat()]) {
    await cached.set(keyOf(id), value);
    await raw.set(`raw:${id}`, JSON.stringify(value), 'EX', 3_600);
  }
  const calls = rest.map((half) => [...every, ...half]);
  const ours = calls.map((call) => call.map(keyOf));
  const bare = calls.map((call) => call.map((id) => `raw:${id}`));
  const of = <T>(list: readonly T[], index: number): T => list[index % halves] as T;
  const samples = await measure({
    contenders: [
      { name: 'ours', run: concurrently(1, (i) => cached.getMany(of(ours, i))) },
      { name: 'ioredis', run: concurrently(1, async (i) => (await raw.mget(of(bare, i))).map(parsed)) },
    ],
  });
  const { memoryHits, remoteHits } = cached.metrics().cache.overall;
  const share = Math.round((memoryHits / (memoryHits + remoteHits)) * 100);
  if (share < 45 || share > 55) throw new Error(`Memory had ${share} % of what was to be half`);
  await cached.close();
  return cpu('100 hits at once, half of them in memory, to MGET of 100, us of CPU', samples, 'ioredis', 0.6);
}
