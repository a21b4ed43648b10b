import { createClient } from 'redis';
import { redisCaches } from '../peers/redis-caches.ts';
import { concurrently } from '../runner/contender.ts';
import type { Figure } from '../runner/figure.ts';
import { measure } from '../runner/measure.ts';
import { cpu, wall } from './compared.ts';
import { callsOf, count, ids, keyOf, missing, parsed } from './values.ts';
import type { WithRedis } from './with-redis.ts';

/** CPU of a hit, ours to bare ioredis, by how many are under way at once. */
export const hitTargets: Readonly<Record<string, Readonly<Record<number, number>>>> = {
  '200 B': { 1: 1.1, 64: 0.45, 512: 0.5 },
  '10 KB': { 1: 1.05, 64: 1.05 },
};

const sizes = { '200 B': callsOf(2), '10 KB': callsOf(110) };

/** What a read of Redis costs, beside bare clients and the caches that people use, all on one server. */
export async function hits({ url, raw, cached }: WithRedis): Promise<Figure[]> {
  const node = createClient({ url });
  await node.connect();
  const peers = redisCaches(raw, url, (key) => loaded(key));
  try {
    const figures: Figure[] = [];
    for (const [size, value] of Object.entries(sizes)) {
      const wires = ids.map((id) => `${size}:${id}`);
      for (const wire of wires) {
        await cached.set(keyOf(wire), value);
        await raw.set(`raw:${wire}`, JSON.stringify(value), 'EX', 3_600);
      }
      for (const peer of peers) for (const wire of wires) await peer.get(wire);
      const wanted = (i: number): string => wires[i % count] as string;
      for (const [atOnce, atMost] of Object.entries(hitTargets[size] ?? {})) {
        const many = Number(atOnce);
        loads = 0;
        const samples = await measure({
          contenders: [
            { name: 'ours', run: concurrently(many, (i) => cached.getOrLoad(keyOf(wanted(i)), missing)) },
            {
              name: 'ioredis',
              run: concurrently(many, async (i) => parsed(await raw.get(`raw:${wanted(i)}`))),
            },
            {
              name: 'node-redis',
              run: concurrently(many, async (i) => parsed(await node.get(`raw:${wanted(i)}`))),
            },
            ...peers.map((peer) => ({
              name: peer.name,
              run: concurrently(many, (i) => peer.get(wanted(i))),
            })),
          ],
        });
        if (loads > 0) throw new Error(`A peer loaded ${loads} times what was to be a hit`);
        const title = `hit in Redis of ${size}, ${many} at once`;
        figures.push(
          cpu(`${title}, to ioredis, us of CPU`, samples, 'ioredis', atMost),
          cpu(`${title}, to node-redis, us of CPU`, samples, 'node-redis', 1.5),
          ...peers.map(({ name }) => cpu(`${title}, to ${name}, us of CPU`, samples, name, 1)),
        );
        if (size === '200 B' && many === 64) {
          figures.push(wall(`${title}, to ioredis, us`, samples, 'ioredis', 0.4));
        }
      }
    }
    return figures;
  } finally {
    for (const peer of peers) await peer.close?.();
    await node.close();
  }
}

/** How often a peer asked for a value since it was filled. */
let loads = 0;

async function loaded(key: string): Promise<object> {
  loads++;
  return sizes[key.slice(0, key.indexOf(':')) as keyof typeof sizes];
}
