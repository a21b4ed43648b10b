import { createCache, defineKeys, resource } from '@cachekit/core';
import { ioredisExecutor, redisTier } from '@cachekit/redis';
import { startRedis } from '@cachekit/services';
import { Redis } from 'ioredis';
import { concurrently } from '../runner/contender.ts';
import { type Figure, figure } from '../runner/figure.ts';
import { compare, measure, type Samples } from '../runner/measure.ts';
import { coherence } from './cache-coherence.ts';
import { cacheInMemory } from './cache-memory.ts';
import { cacheOverRedis } from './cache-redis.ts';
import { hitRatios } from './cache-traces.ts';

interface Device {
  readonly id: string;
  readonly name: string;
  readonly tags: readonly string[];
  readonly calls: readonly { readonly at: number; readonly seconds: number; readonly answered: boolean }[];
}

const keys = defineKeys({
  scope: 'tenant',
  resources: { device: resource<Device, { id: string }>({ ttl: '1h', tags: ['devices'] }) },
});
const count = 1_000;
const devices = Array.from({ length: count }, (_, i) => deviceOf(`device-${i}`));
const entries = devices.map((device) => ({ device, key: keys.device({ tenant: 'acme', id: device.id }) }));

/** About 1.5 kB of JSON. */
function deviceOf(id: string): Device {
  const calls = Array.from({ length: 25 }, (_, i) => ({
    at: i * 1_000,
    seconds: i * 7,
    answered: i % 3 > 0,
  }));
  return { id, name: `Device ${id}`, tags: ['desk', 'second floor', 'recorded'], calls };
}

/** Reads that hit, against what one would write by hand. */
export async function cache(): Promise<Figure[]> {
  return [
    ...(await memoryHits()),
    ...(await cacheInMemory()),
    ...hitRatios(),
    ...(await remoteHits()),
    ...(await cacheOverRedis()),
    ...(await coherence()),
  ];
}

async function memoryHits(): Promise<Figure[]> {
  const cached = createCache();
  for (const { key, device } of entries) await cached.getOrLoad(key, async () => device);
  const held = new Map(
    entries.map(({ key, device }) => [key.wire, { device, until: Date.now() + 3_600_000 }]),
  );
  const bare = async (wire: string): Promise<Device> => {
    const entry = held.get(wire);
    if (entry !== undefined && entry.until > Date.now()) return entry.device;
    throw missed();
  };
  const samples = await measure({
    contenders: [
      { name: 'ours', run: concurrently(1, (i) => cached.getOrLoad(entryOf(i).key, missing)) },
      { name: 'peer', run: concurrently(1, (i) => bare(entryOf(i).key.wire)) },
    ],
  });
  await cached.close();
  const { ours, peer, ratio } = compared(samples, 'timeUs');
  const inNs = { ours: ours * 1_000, peer: peer * 1_000, ratio };
  return [figure('hit in memory to a bare Map, ns per read', inNs, { of: 'ratio', atMost: 5 })];
}

async function remoteHits(): Promise<Figure[]> {
  const server = await startRedis({ own: true });
  const raw = new Redis(server.url);
  const redis = ioredisExecutor(raw, { commandTimeout: '10s' });
  const cached = createCache({
    memory: false,
    remote: redisTier({ redis, coherence: 'ttl' }),
    policy: { timeout: { hard: '10s' } },
  });
  try {
    for (const { key, device } of entries) {
      await cached.set(key, device);
      await raw.set(`raw:${device.id}`, JSON.stringify(device), 'EX', 3_600);
    }
    const bare = async (id: string): Promise<Device> => {
      const text = await raw.get(`raw:${id}`);
      if (text === null) throw missed();
      return JSON.parse(text) as Device;
    };
    const figures: Figure[] = [];
    for (const atOnce of [1, 64]) {
      const samples = await measure({
        contenders: [
          { name: 'ours', run: concurrently(atOnce, (i) => cached.getOrLoad(entryOf(i).key, missing)) },
          { name: 'peer', run: concurrently(atOnce, (i) => bare(entryOf(i).device.id)) },
        ],
      });
      const title = `hit in Redis to raw GET and JSON.parse, ${atOnce} at once`;
      figures.push(
        figure(`${title}, us per read`, compared(samples, 'timeUs'), { of: 'ratio', atMost: 2 }),
        figure(`${title}, us of client CPU per read`, compared(samples, 'cpuUs'), {
          of: 'ratio',
          atMost: 2.5,
        }),
      );
    }
    return figures;
  } finally {
    await cached.close();
    await redis.close();
    raw.disconnect();
    await server.stop();
  }
}

function entryOf(index: number): (typeof entries)[number] {
  return entries[index % count] as (typeof entries)[number];
}

function compared(samples: ReadonlyMap<string, Samples>, what: keyof Samples): ReturnType<typeof compare> {
  return compare((samples.get('ours') as Samples)[what], (samples.get('peer') as Samples)[what]);
}

// A load would measure something else than a hit, so it ends the run.
async function missing(): Promise<Device> {
  throw missed();
}

function missed(): Error {
  return new Error('This was to be a hit');
}
