import { type Cache, createCache, defineKeys, resource } from '@cachekit/core';
import { LRUCache } from 'lru-cache';
import { type Figure, figure } from '../runner/figure.ts';
import { median } from '../runner/median.ts';

const length = 200_000;
const keys = defineKeys({
  scope: 'global',
  resources: { item: resource<number, { id: number }>({ ttl: '1h' }) },
});

interface Trace {
  readonly name: string;
  readonly sizes: readonly number[];
  readonly ids: () => Generator<number>;
}

/** Made-up traces of the kinds that caches meet: few that are read often, scans, loops, and what is new today. */
const traces: readonly Trace[] = [
  { name: 'zipf 0.9', sizes: [500, 5_000], ids: () => zipf(0.9, 100_000) },
  { name: 'zipf 0.7', sizes: [500, 5_000], ids: () => zipf(0.7, 100_000) },
  { name: 'zipf 0.9 with scans', sizes: [500, 5_000], ids: () => withScans(zipf(0.9, 100_000)) },
  { name: 'popularity that moves', sizes: [500, 5_000], ids: () => moving(0.9, 50_000) },
  { name: 'what was read lately', sizes: [500, 5_000], ids: recent },
  { name: 'loop a little too long', sizes: [1_000], ids: () => loop(1_200) },
];

/** How many of the reads hit, in points above lru-cache of the same size: at worst, and in the middle. */
export function hitRatios(): Figure[] {
  const above: number[] = [];
  for (const { sizes, ids } of traces) {
    for (const size of sizes) above.push(ourRatio(ids(), size) - lruRatio(ids(), size));
  }
  return [
    figure(
      `points of hit ratio above lru-cache, worst of ${above.length} traces`,
      { ours: Math.min(...above) },
      { of: 'ours', atLeast: -1.5 },
    ),
    figure(
      `points of hit ratio above lru-cache, median of ${above.length} traces`,
      { ours: median(above) },
      { of: 'ours', atLeast: 2.5 },
    ),
  ];
}

function ourRatio(ids: Generator<number>, maxEntries: number): number {
  const cache: Cache = createCache({ memory: { maxEntries } });
  let hits = 0;
  for (const id of ids) {
    const key = keys.item({ id });
    if (cache.peek(key) !== undefined) hits++;
    // Stored before it returns: memory is all there is.
    else void cache.set(key, id);
  }
  return (hits / length) * 100;
}

function lruRatio(ids: Generator<number>, max: number): number {
  const cache = new LRUCache<number, number>({ max });
  let hits = 0;
  for (const id of ids) {
    if (cache.get(id) !== undefined) hits++;
    else cache.set(id, id);
  }
  return (hits / length) * 100;
}

/** Ids by rank: the one of rank r as often as 1 / r^skew says. */
function* zipf(skew: number, count: number): Generator<number> {
  const random = numbers(7);
  const upTo = new Float64Array(count);
  let sum = 0;
  for (let rank = 0; rank < count; rank++) {
    sum += 1 / (rank + 1) ** skew;
    upTo[rank] = sum;
  }
  for (let read = 0; read < length; read++) yield place(upTo, random() * sum);
}

/** Where in the sums a number falls. */
function place(upTo: Float64Array, at: number): number {
  let low = 0;
  let high = upTo.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((upTo[middle] as number) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Every now and then a thousand ids that are read once. */
function* withScans(ids: Generator<number>): Generator<number> {
  let scanned = 1_000_000;
  let read = 0;
  for (const id of ids) {
    if (read >= length) return;
    if (read % 10_000 === 9_000) {
      for (let step = 0; step < 1_000 && read < length; step++, read++) yield scanned++;
    }
    yield id;
    read++;
  }
}

/** Every so often other ids are the popular ones. */
function* moving(skew: number, count: number): Generator<number> {
  let read = 0;
  for (const rank of zipf(skew, count)) yield (rank + Math.floor(read++ / 20_000) * 3_000) % count;
}

/** What was read lately is read again, the nearer the likelier; what lru was made for. */
function* recent(): Generator<number> {
  const random = numbers(11);
  const past: number[] = [];
  for (let read = 0; read < length; read++) {
    const back = Math.floor(-Math.log(1 - random()) * 1_500);
    const id = random() < 0.25 || back >= past.length ? read : (past[past.length - 1 - back] as number);
    past.push(id);
    yield id;
  }
}

function* loop(count: number): Generator<number> {
  for (let read = 0; read < length; read++) yield read % count;
}

/**
 * Numbers in `[0, 1)` that are the same every time.
 *
 * @see mulberry32
 */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
