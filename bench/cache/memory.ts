import { createCache, defineKeys, resource } from '@cachekit/core';
import { LRUCache } from 'lru-cache';
import { memoryCaches } from '../peers/memory-caches.ts';
import { concurrently } from '../runner/contender.ts';
import { type Figure, figure } from '../runner/figure.ts';
import { compare, measure, type Samples } from '../runner/measure.ts';

interface Value {
  readonly id: string;
  readonly text: string;
}

const keys = defineKeys({
  scope: 'tenant',
  resources: {
    plain: resource<Value, { id: string }>({ ttl: '1h' }),
    tagged: resource<Value, { id: string }>({ ttl: '1h', tags: ({ id }) => ['values', `value:${id}`] }),
  },
});
const count = 1_000;
const ids = Array.from({ length: count }, (_, index) => String(index));
const plain = ids.map((id) => keys.plain({ tenant: 'acme', id }));
const tagged = ids.map((id) => keys.tagged({ tenant: 'acme', id }));
const wires = plain.map(({ wire }) => wire);

/** About 200 bytes of JSON. */
const sample = (id: string): Value => ({ id, text: 'x'.repeat(170) });

/** What hits in memory cost, in CPU, against the caches that people use. */
export async function cacheInMemory(): Promise<Figure[]> {
  return [...(await promises()), ...(await atOnce()), await failingLoads()];
}

async function promises(): Promise<Figure[]> {
  const ours = createCache();
  for (const [index, id] of ids.entries()) {
    await ours.set(plain[index] as (typeof plain)[0], sample(id));
    await ours.set(tagged[index] as (typeof tagged)[0], sample(id));
  }
  const peers = memoryCaches(count * 2, async (key) => sample(key));
  for (const peer of peers) for (const wire of wires) await peer.get(wire);
  const samples = await measure({
    contenders: [
      { name: 'ours', run: concurrently(1, (i) => ours.getOrLoad(at(plain, i), missing)) },
      { name: 'tagged', run: concurrently(1, (i) => ours.getOrLoad(at(tagged, i), missing)) },
      ...peers.map((peer) => ({ name: peer.name, run: concurrently(1, (i) => peer.get(at(wires, i))) })),
    ],
  });
  await ours.close();
  for (const peer of peers) await peer.close?.();
  const figures = peers.map(({ name }, index) =>
    figure(`hit in memory, getOrLoad() to ${name}, ns of CPU per read`, compared(samples, 'ours', name), {
      of: 'ratio',
      atMost: index === 0 ? 0.75 : 1,
    }),
  );
  const tags = compared(samples, 'tagged', 'ours');
  figures.push(
    figure('hit in memory with 2 tags to one without, ns of CPU per read', tags, {
      of: 'ratio',
      atMost: 1.1,
    }),
  );
  return figures;
}

/** The way without a promise. */
async function atOnce(): Promise<Figure[]> {
  const ours = createCache();
  const lru = new LRUCache<string, Value>({ max: count, ttl: 3_600_000 });
  for (const [index, id] of ids.entries()) {
    await ours.set(at(plain, index), sample(id));
    lru.set(at(wires, index), sample(id));
  }
  const samples = await measure({
    contenders: [
      { name: 'ours', run: over((i) => ours.peek(at(plain, i))) },
      { name: 'peer', run: over((i) => lru.get(at(wires, i))) },
    ],
  });
  await ours.close();
  const result = compared(samples, 'ours', 'peer');
  return [
    figure('hit in memory, peek() to get() of lru-cache, ns of CPU per read', result, {
      of: 'ratio',
      atMost: 1.1,
    }),
  ];
}

/** How often a loader runs that fails while a thousand wait for it. */
async function failingLoads(): Promise<Figure> {
  const ours = createCache();
  let calls = 0;
  const load = async (): Promise<Value> => {
    calls++;
    await new Promise((resolve) => setTimeout(resolve, 20));
    throw new Error('no database');
  };
  await Promise.allSettled(Array.from({ length: 1_000 }, () => ours.getOrLoad(at(plain, 0), load)));
  await ours.close();
  return figure(
    'loads for 1,000 callers at once when the load fails',
    { ours: calls },
    { of: 'ours', atMost: 1 },
  );
}

function over(once: (index: number) => unknown): (operations: number) => void {
  return (operations) => {
    for (let index = 0; index < operations; index++) if (once(index) === undefined) throw missed();
  };
}

function at<T>(list: readonly T[], index: number): T {
  return list[index % count] as T;
}

function compared(samples: ReadonlyMap<string, Samples>, ours: string, peer: string) {
  const result = compare((samples.get(ours) as Samples).cpuUs, (samples.get(peer) as Samples).cpuUs);
  return { ours: result.ours * 1_000, peer: result.peer * 1_000, ratio: result.ratio };
}

// A load would measure something else than a hit, so it ends the run.
async function missing(): Promise<Value> {
  throw missed();
}

function missed(): Error {
  return new Error('This was to be a hit');
}
