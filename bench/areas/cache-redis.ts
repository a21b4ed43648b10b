import { createCache, defineKeys, type RedisExecutor, resource } from '@cachekit/core';
import { ioredisExecutor, type RedisTier, redisTier } from '@cachekit/redis';
import { startRedis } from '@cachekit/services';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { concurrently } from '../runner/contender.ts';
import { type Figure, figure } from '../runner/figure.ts';
import { compare, measure, type Samples } from '../runner/measure.ts';

interface Value {
  readonly calls: readonly {
    readonly id: string;
    readonly at: number;
    readonly seconds: number;
    readonly from: string;
    readonly answered: boolean;
  }[];
}

/** Objects as an API answers them, of 90 B each: one long text would cost next to nothing to parse. */
function callsOf(count: number): Value {
  const calls = Array.from({ length: count }, (_, i) => ({
    id: `call-${i}`,
    at: 1_700_000_000_000 + i * 61_000,
    seconds: (i * 7) % 600,
    from: '+5511987654321',
    answered: i % 3 > 0,
  }));
  return { calls };
}

const keys = defineKeys({
  scope: 'tenant',
  resources: { value: resource<Value, { id: string }>({ ttl: '1h' }) },
});
const count = 512;
const ids = Array.from({ length: count }, (_, index) => String(index));
const keyOf = (size: string, id: string) => keys.value({ tenant: 'acme', id: `${size}:${id}` });

/** What a read of Redis, a load and a read of many keys cost, against bare ioredis and node-redis on the same server. */
export async function cacheOverRedis(): Promise<Figure[]> {
  const server = await startRedis({ own: true });
  const raw = new Redis(server.url);
  const node = createClient({ url: server.url });
  await node.connect();
  const redis = ioredisExecutor(raw, { commandTimeout: '10s' });
  const policy = { timeout: { hard: '10s' } } as const;
  const tier = redisTier({ redis, coherence: 'ttl' });
  const cached = createCache({ memory: false, remote: tier, policy });
  try {
    const figures: Figure[] = [];
    for (const [size, value] of [
      ['200 B', callsOf(2)],
      ['10 KB', callsOf(110)],
    ] as const) {
      for (const id of ids) {
        await cached.set(keyOf(size, id), value);
        await raw.set(`raw:${size}:${id}`, JSON.stringify(value), 'EX', 3_600);
      }
      for (const atOnce of size === '200 B' ? [1, 64, 512] : [1, 64]) {
        const wanted = (i: number): string => ids[i % count] as string;
        const samples = await measure({
          contenders: [
            {
              name: 'ours',
              run: concurrently(atOnce, (i) => cached.getOrLoad(keyOf(size, wanted(i)), missing)),
            },
            {
              name: 'ioredis',
              run: concurrently(atOnce, async (i) => parsed(await raw.get(`raw:${size}:${wanted(i)}`))),
            },
            {
              name: 'node-redis',
              run: concurrently(atOnce, async (i) => parsed(await node.get(`raw:${size}:${wanted(i)}`))),
            },
          ],
        });
        const title = `hit in Redis of ${size}, ${atOnce} at once`;
        const atMost = hitTargets[size]?.[atOnce] as number;
        figures.push(
          cpu(`${title}, to ioredis, us of CPU`, samples, 'ioredis', atMost),
          cpu(`${title}, to node-redis, us of CPU`, samples, 'node-redis', 1.5),
        );
        if (size === '200 B' && atOnce === 64) figures.push(wall(`${title}, to ioredis, us`, samples, 0.4));
      }
    }
    figures.push(...(await texts(cached, raw)));
    figures.push(...(await tierReads(tier, raw)));
    figures.push(...(await misses(cached, raw)));
    figures.push(await many(cached, raw), await manyHalfHeld(redis, raw));
    return figures;
  } finally {
    await cached.close();
    await redis.close();
    raw.disconnect();
    await node.close();
    await server.stop();
  }
}

/** CPU of a hit, ours to bare ioredis, by how many are under way at once. */
const hitTargets: Readonly<Record<string, Readonly<Record<number, number>>>> = {
  '200 B': { 1: 1.1, 64: 0.45, 512: 0.5 },
  '10 KB': { 1: 1.05, 64: 1.05 },
};

type Cache = ReturnType<typeof createCache>;

/** Without the engine: what reading in batches costs by itself. */
async function tierReads(tier: RedisTier, raw: Redis): Promise<Figure[]> {
  const wires = ids.map((id) => keyOf('200 B', id).wire);
  const figures: Figure[] = [];
  for (const atOnce of [1, 64, 512]) {
    const samples = await measure({
      contenders: [
        { name: 'ours', run: concurrently(atOnce, (i) => tier.getMany([wires[i % count] as string])) },
        { name: 'ioredis', run: concurrently(atOnce, (i) => raw.get(wires[i % count] as string)) },
      ],
    });
    const atMost = hitTargets['200 B']?.[atOnce] as number;
    const title = `read of the tier of 200 B, ${atOnce} at once, to GET of ioredis`;
    figures.push(cpu(`${title}, us of CPU`, samples, 'ioredis', atMost));
  }
  return figures;
}

/** A load that is fenced and shared by all processes, to a GET and a SET that are neither. */
async function misses(cached: Cache, raw: Redis): Promise<Figure[]> {
  const value = callsOf(2);
  const figures: Figure[] = [];
  let next = 0;
  for (const atOnce of [1, 64, 512]) {
    const samples = await measure({
      contenders: [
        {
          name: 'ours',
          run: concurrently(atOnce, () => cached.getOrLoad(keyOf('miss', String(next++)), async () => value)),
        },
        {
          name: 'ioredis',
          run: concurrently(atOnce, async () => {
            const key = `raw:miss:${next++}`;
            if ((await raw.get(key)) === null) await raw.set(key, JSON.stringify(value), 'EX', 3_600);
          }),
        },
      ],
    });
    const title = `cold miss to GET and SET of ioredis, ${atOnce} at once`;
    figures.push(cpu(`${title}, us of CPU`, samples, 'ioredis', 1.1), wall(`${title}, us`, samples, 1.5));
    await raw.flushall();
  }
  return figures;
}

/** A hundred keys in one call. */
async function many(cached: Cache, raw: Redis): Promise<Figure> {
  const value = callsOf(2);
  const hundred = ids.slice(0, 100);
  for (const id of hundred) {
    await cached.set(keyOf('many', id), value);
    await raw.set(`raw:many:${id}`, JSON.stringify(value), 'EX', 3_600);
  }
  const ours = hundred.map((id) => keyOf('many', id));
  const bare = hundred.map((id) => `raw:many:${id}`);
  const samples = await measure({
    contenders: [
      {
        name: 'ours',
        run: concurrently(1, () => cached.getMany(ours)),
      },
      {
        name: 'ioredis',
        run: concurrently(1, async () => (await raw.mget(bare)).map(parsed)),
      },
    ],
  });
  return cpu('100 hits in Redis at once to MGET of 100, us of CPU', samples, 'ioredis', 1.1);
}

/** A hundred keys in one call, of which memory has half: those that every call asks for. */
async function manyHalfHeld(redis: RedisExecutor, raw: Redis): Promise<Figure> {
  const tier = redisTier({ redis, coherence: 'ttl' });
  const cached = createCache({
    memory: { maxEntries: 100 },
    remote: tier,
    policy: { timeout: { hard: '10s' } },
  });
  const value = callsOf(2);
  const halves = 100;
  const every = ids.slice(0, 50);
  const rest = Array.from({ length: halves }, (_, half) => every.map((id) => `${half}:${id}`));
  for (const id of [...every, ...rest.flat()]) {
    await cached.set(keyOf('half', id), value);
    await raw.set(`raw:half:${id}`, JSON.stringify(value), 'EX', 3_600);
  }
  const calls = rest.map((half) => [...every, ...half]);
  const ours = calls.map((call) => call.map((id) => keyOf('half', id)));
  const bare = calls.map((call) => call.map((id) => `raw:half:${id}`));
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

/** The JSON as it is stored, for whoever hands it on. */
async function texts(cached: Cache, raw: Redis): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const atOnce of [1, 64]) {
    const wanted = (i: number): string => ids[i % count] as string;
    const samples = await measure({
      contenders: [
        { name: 'ours', run: concurrently(atOnce, (i) => cached.getRaw(keyOf('10 KB', wanted(i)))) },
        {
          name: 'ioredis',
          run: concurrently(atOnce, async (i) => parsed(await raw.get(`raw:10 KB:${wanted(i)}`))),
        },
      ],
    });
    const title = `getRaw() in Redis of 10 KB, ${atOnce} at once, to GET and JSON.parse of ioredis`;
    figures.push(cpu(`${title}, us of CPU`, samples, 'ioredis', 0.5));
  }
  return figures;
}

function cpu(name: string, samples: ReadonlyMap<string, Samples>, peer: string, atMost: number): Figure {
  const ours = (samples.get('ours') as Samples).cpuUs;
  return figure(name, compare(ours, (samples.get(peer) as Samples).cpuUs), { of: 'ratio', atMost });
}

function wall(name: string, samples: ReadonlyMap<string, Samples>, atMost: number): Figure {
  const ours = (samples.get('ours') as Samples).timeUs;
  const peer = (samples.get('ioredis') as Samples).timeUs;
  return figure(name, compare(ours, peer), { of: 'ratio', atMost });
}

function parsed(text: string | null): Value {
  if (text === null) throw missed();
  return JSON.parse(text) as Value;
}

// A load would measure something else than a hit, so it ends the run.
async function missing(): Promise<Value> {
  throw missed();
}

function missed(): Error {
  return new Error('This was to be a hit');
}
