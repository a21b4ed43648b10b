import { redisCaches } from '../peers/redis-caches.ts';
import { type Figure, figure } from '../runner/figure.ts';
import { callsOf, keyOf } from './values.ts';
import type { WithRedis } from './with-redis.ts';

/** Where the header of an entry says how long its tags are, as `packages/core/src/entry.ts` lays it out. */
const tagBytes = [71, 76] as const;

/** What an entry in Redis takes beside its JSON and the names of its tags. */
export async function wire({ url, raw, cached }: WithRedis): Promise<Figure[]> {
  const value = callsOf(2);
  const json = JSON.stringify(value).length;
  const key = keyOf('wire');
  await cached.set(key, value);
  const stored = (await raw.get(key.wire)) ?? '';
  const ours = stored.length - json - Number(stored.slice(...tagBytes));
  const [bento] = redisCaches(raw, url, async () => value).filter(({ name }) => name === 'bentocache');
  await bento?.get('wire');
  const peer = (await raw.strlen('bento:wire')) - json;
  return [
    figure(
      'bytes of an entry in Redis beside its JSON and tags, to bentocache',
      { ours, peer, ratio: ours / peer },
      { of: 'ours', atMost: 76 },
    ),
  ];
}
