import { createRateLimiter, fixedWindow, gcra, memoryStore, redisStore } from '@cachekit/ratelimit';
import { ioredisExecutor } from '@cachekit/redis';
import { startRedis } from '@cachekit/services';
import { Redis } from 'ioredis';
import { rawIncrExpire } from '../peers/raw-incr-expire.ts';
import { rawLuaGcra } from '../peers/raw-lua-gcra.ts';
import { concurrently } from '../runner/contender.ts';
import { type Figure, figure } from '../runner/figure.ts';
import { compare, measure, type Samples } from '../runner/measure.ts';

const ids = Array.from({ length: 1_000 }, (_, i) => `user-${i}`);
const idOf = (index: number): string => ids[index % ids.length] as string;
// One token per millisecond: enough that nothing is denied.
const limit = 60_000;
const windowMs = 60_000;

/** The limiter against what one would write by hand over the same client. */
export async function ratelimit(): Promise<Figure[]> {
  const server = await startRedis({ own: true });
  const raw = new Redis(server.url);
  const redis = ioredisExecutor(raw, { commandTimeout: '10s' });
  try {
    return [...(await overRedis(raw, redis)), ...(await inMemory())];
  } finally {
    await redis.close();
    raw.disconnect();
    await server.stop();
  }
}

async function overRedis(raw: Redis, redis: ReturnType<typeof ioredisExecutor>): Promise<Figure[]> {
  const limiter = createRateLimiter({
    policies: {
      bucket: gcra({ limit, window: windowMs }),
      window: fixedWindow({ limit, window: windowMs }),
      user: gcra({ limit, window: windowMs }),
      tenant: gcra({ limit, window: windowMs }),
    },
    store: redisStore({ redis }),
    timeout: '10s',
    onUnavailable: 'throw',
  });
  const luaGcra = rawLuaGcra(raw, limit, windowMs);
  const incrExpire = rawIncrExpire(raw, limit, windowMs);
  const ways = {
    gcra: (i: number) => limiter.consume({ bucket: [idOf(i)] }),
    'raw Lua GCRA': (i: number) => luaGcra(`raw:gcra:${idOf(i)}`),
    'fixed window': (i: number) => limiter.consume({ window: [idOf(i)] }),
    'raw INCR and EXPIRE': (i: number) => incrExpire(`raw:incr:${idOf(i)}`),
    'three policies': (i: number) =>
      limiter.consume({ bucket: [idOf(i)], user: [idOf(i)], tenant: [] }, { tenant: 'acme' }),
    'three raw Lua GCRA': (i: number) =>
      Promise.all([luaGcra(`raw:a:${idOf(i)}`), luaGcra(`raw:b:${idOf(i)}`), luaGcra('raw:c')]),
  };
  const serverCpuUs = async (): Promise<number> => cpuUsOf(await raw.info('cpu'));
  const figures: Figure[] = [];
  for (const atOnce of [1, 64]) {
    const contenders = Object.entries(ways).map(([name, once]) => ({
      name,
      run: concurrently(atOnce, once),
    }));
    const samples = await measure({ contenders, serverCpuUs });
    const versus = (what: keyof Samples, ours: keyof typeof ways, peer: keyof typeof ways) =>
      compare((samples.get(ours) as Samples)[what], (samples.get(peer) as Samples)[what]);
    const add = (
      ours: keyof typeof ways,
      peer: keyof typeof ways,
      most: Record<keyof Samples, number>,
    ): void => {
      const title = `${ours} to ${peer}, ${atOnce} at once`;
      for (const [what, unit] of units) {
        figures.push(
          figure(`${title}, ${unit}`, versus(what, ours, peer), { of: 'ratio', atMost: most[what] }),
        );
      }
    };
    add('gcra', 'raw Lua GCRA', { timeUs: 1.3, cpuUs: 1.5, serverCpuUs: 1.15 });
    add('fixed window', 'raw INCR and EXPIRE', { timeUs: 2, cpuUs: 2.2, serverCpuUs: 2 });
    add('three policies', 'three raw Lua GCRA', { timeUs: 1, cpuUs: 1, serverCpuUs: 1 });
  }
  return figures;
}

const units: readonly (readonly [keyof Samples, string])[] = [
  ['timeUs', 'us per decision'],
  ['cpuUs', 'us of client CPU per decision'],
  ['serverCpuUs', 'us of Redis CPU per decision'],
];

function cpuUsOf(info: string): number {
  const seconds = [...info.matchAll(/^used_cpu_(?:sys|user):([\d.]+)/gm)].map(([, value]) => Number(value));
  return seconds.reduce((sum, value) => sum + value, 0) * 1e6;
}

async function inMemory(): Promise<Figure[]> {
  const limiter = createRateLimiter({
    policies: { api: gcra({ limit: 10, window: '1h' }) },
    store: memoryStore(),
  });
  for (const id of ids) await limiter.consume({ api: [id] }, { cost: 10 });
  const counts = new Map<string, { count: number; end: number }>();
  for (const id of ids) counts.set(id, { count: 10, end: Date.now() + 3_600_000 });
  const bare = async (id: string): Promise<boolean> => {
    const counter = counts.get(id);
    return counter === undefined || counter.end <= Date.now() || counter.count < 10;
  };
  const samples = await measure({
    contenders: [
      { name: 'memory store', run: concurrently(1, (i) => limiter.consume({ api: [idOf(i)] })) },
      { name: 'bare Map', run: concurrently(1, (i) => bare(idOf(i))) },
    ],
  });
  const { ours, peer, ratio } = compare(
    (samples.get('memory store') as Samples).timeUs,
    (samples.get('bare Map') as Samples).timeUs,
  );
  const inNs = { ours: ours * 1_000, peer: peer * 1_000, ratio };
  return [
    figure('denial by the memory store to a bare Map, ns per decision', inNs, { of: 'ours', atMost: 2_000 }),
  ];
}
