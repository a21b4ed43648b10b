import { redisCaches } from '../peers/redis-caches.ts';
import { concurrently } from '../runner/contender.ts';
import type { Figure } from '../runner/figure.ts';
import { measure } from '../runner/measure.ts';
import { cpu, wall } from './compared.ts';
import { callsOf, keyOf } from './values.ts';
import type { WithRedis } from './with-redis.ts';

/** A load that is fenced and shared by all processes, to a GET and a SET that are neither, and to other caches. */
export async function misses({ url, raw, cached }: WithRedis): Promise<Figure[]> {
  const value = callsOf(2);
  const load = async () => value;
  const figures: Figure[] = [];
  let next = 0;
  for (const atOnce of [1, 64, 512]) {
    const peers = atOnce === 64 ? redisCaches(raw, url, load) : [];
    const samples = await measure({
      contenders: [
        {
          name: 'ours',
          run: concurrently(atOnce, () => cached.getOrLoad(keyOf(`miss:${next++}`), load)),
        },
        {
          name: 'ioredis',
          run: concurrently(atOnce, async () => {
            const key = `raw:miss:${next++}`;
            if ((await raw.get(key)) === null) await raw.set(key, JSON.stringify(value), 'EX', 3_600);
          }),
        },
        ...peers.map((peer) => ({
          name: peer.name,
          run: concurrently(atOnce, () => peer.get(`miss:${next++}`)),
        })),
      ],
    });
    for (const peer of peers) await peer.close?.();
    const title = `cold miss, ${atOnce} at once, to`;
    figures.push(
      cpu(`${title} GET and SET of ioredis, us of CPU`, samples, 'ioredis', 1.1),
      wall(`${title} GET and SET of ioredis, us`, samples, 'ioredis', 1.5),
      ...peers.map(({ name }) => cpu(`${title} ${name}, us of CPU`, samples, name, 1)),
    );
    await raw.flushall();
  }
  return figures;
}
