import { coherence } from '../cache/coherence.ts';
import { hits } from '../cache/hits.ts';
import { many } from '../cache/many.ts';
import { cacheInMemory } from '../cache/memory.ts';
import { misses } from '../cache/misses.ts';
import { outage } from '../cache/outage.ts';
import { texts, tierReads } from '../cache/parts-of-a-read.ts';
import { staleReads } from '../cache/stale-reads.ts';
import { stampede } from '../cache/stampede.ts';
import { tagInvalidation } from '../cache/tag-invalidation.ts';
import { hitRatios } from '../cache/traces.ts';
import { wire } from '../cache/wire.ts';
import { withRedis } from '../cache/with-redis.ts';
import type { Figure } from '../runner/figure.ts';

/** Reads, loads and invalidations, against what one would write by hand and the caches that people use. */
export async function cache(): Promise<Figure[]> {
  return [
    ...(await cacheInMemory()),
    ...hitRatios(),
    ...(await withRedis(async (parts) => [
      ...(await hits(parts)),
      ...(await texts(parts)),
      ...(await tierReads(parts)),
      ...(await many(parts)),
      ...(await misses(parts)),
    ])),
    ...(await coherence()),
    ...(await stampede()),
    ...(await tagInvalidation()),
    ...(await withRedis(staleReads)),
    ...(await withRedis(wire)),
    ...(await outage()),
  ];
}
