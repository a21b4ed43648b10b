import { concurrently } from '../runner/contender.ts';
import type { Figure } from '../runner/figure.ts';
import { measure } from '../runner/measure.ts';
import { cpu } from './compared.ts';
import { hitTargets } from './hits.ts';
import { count, ids, keyOf, parsed } from './values.ts';
import type { WithRedis } from './with-redis.ts';

/** The JSON as it is stored, for whoever hands it on. Reads what `hits` has written. */
export async function texts({ cached, raw }: WithRedis): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const atOnce of [1, 64]) {
    const wanted = (i: number): string => `10 KB:${ids[i % count]}`;
    const samples = await measure({
      contenders: [
        { name: 'ours', run: concurrently(atOnce, (i) => cached.getRaw(keyOf(wanted(i)))) },
        {
          name: 'ioredis',
          run: concurrently(atOnce, async (i) => parsed(await raw.get(`raw:${wanted(i)}`))),
        },
      ],
    });
    const title = `getRaw() in Redis of 10 KB, ${atOnce} at once, to GET and JSON.parse of ioredis`;
    figures.push(cpu(`${title}, us of CPU`, samples, 'ioredis', 0.5));
  }
  return figures;
}

/** Without the engine: what reading in batches costs by itself. Reads what `hits` has written. */
export async function tierReads({ tier, raw }: WithRedis): Promise<Figure[]> {
  const wires = ids.map((id) => keyOf(`200 B:${id}`).wire);
  const figures: Figure[] = [];
  for (const [atOnce, atMost] of Object.entries(hitTargets['200 B'] ?? {})) {
    const many = Number(atOnce);
    const samples = await measure({
      contenders: [
        { name: 'ours', run: concurrently(many, (i) => tier.getMany([wires[i % count] as string])) },
        { name: 'ioredis', run: concurrently(many, (i) => raw.get(wires[i % count] as string)) },
      ],
    });
    const title = `read of the tier of 200 B, ${many} at once, to GET of ioredis`;
    figures.push(cpu(`${title}, us of CPU`, samples, 'ioredis', atMost));
  }
  return figures;
}
