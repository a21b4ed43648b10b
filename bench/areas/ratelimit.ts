import { systemClock } from '@cachekit/core';
import {
  createRateLimiter,
  fixedWindow,
  gcra,
  type LimitRequest,
  memoryStore,
  redisStore,
  slidingWindow,
} from '@cachekit/ratelimit';
import { ioredisExecutor } from '@cachekit/redis';
import { startUpstashServer } from '@cachekit/redis/testing';
import { upstashExecutor } from '@cachekit/redis/upstash';
import { startRedis } from '@cachekit/services';
import { Redis as Upstash } from '@upstash/redis';
import { Redis } from 'ioredis';
import { installedLimiters, upstashLimiter } from '../peers/limiters.ts';
import { rawIncrExpire } from '../peers/raw-incr-expire.ts';
import { rawLuaGcra } from '../peers/raw-lua-gcra.ts';
import { runTraces } from '../ratelimit/run-traces.ts';
import { concurrently } from '../runner/contender.ts';
import { type Figure, figure } from '../runner/figure.ts';
import { compare, measure, type Samples } from '../runner/measure.ts';
import { median } from '../runner/median.ts';

const ids = Array.from({ length: 1_000 }, (_, i) => `user-${i}`);
const idOf = (index: number): string => ids[index % ids.length] as string;
// One token per millisecond: enough that nothing is denied.
const limit = 60_000;
const windowMs = 60_000;

/** The limiter against the libraries one would take otherwise, and what one would write by hand, over the same Redis. */
export async function ratelimit(): Promise<Figure[]> {
  const server = await startRedis({ own: true });
  const raw = new Redis(server.url);
  const redis = ioredisExecutor(raw, { commandTimeout: '10s' });
  try {
    return [
      ...(await overRedis(raw, redis)),
      ...(await overRest(raw)),
      ...(await denials(redis)),
      ...(await inMemory()),
      ...(await bytes(raw, redis)),
      ...(await accuracy(server.url)),
    ];
  } finally {
    await redis.close();
    raw.disconnect();
    await server.stop();
  }
}

type Executor = ReturnType<typeof ioredisExecutor>;

async function overRedis(raw: Redis, redis: Executor): Promise<Figure[]> {
  const limiter = createRateLimiter({
    policies: {
      bucket: gcra({ limit, window: windowMs }),
      remainder: gcra({ limit: limit - 1, window: windowMs }),
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
  const libraries = await installedLimiters(raw, limit, windowMs);
  const ways = new Map<string, (i: number) => Promise<unknown>>([
    ['gcra', (i) => limiter.consume({ bucket: [idOf(i)] })],
    ['gcra with a remainder', (i) => limiter.consume({ remainder: [idOf(i)] })],
    ['fixed window', (i) => limiter.consume({ window: [idOf(i)] })],
    [
      'three policies',
      (i) => limiter.consume({ bucket: [idOf(i)], user: [idOf(i)], tenant: [] }, { tenant: 'acme' }),
    ],
    ['raw Lua GCRA', (i) => luaGcra(`raw:gcra:${idOf(i)}`)],
    ['raw INCR and EXPIRE', (i) => incrExpire(`raw:incr:${idOf(i)}`)],
  ]);
  for (const [name, check] of libraries) if (check !== undefined) ways.set(name, (i) => check(idOf(i)));
  const serverCpuUs = async (): Promise<number> => cpuUsOf(await raw.info('cpu'));
  const figures: Figure[] = [];
  for (const atOnce of [1, 64, 512]) {
    const contenders = [...ways].map(([name, once]) => ({ name, run: concurrently(atOnce, once) }));
    const samples = await measure({ contenders, serverCpuUs });
    const perSecond = (name: string): number[] => of(samples, name).timeUs.map((us) => 1e6 / us);
    const at = `${atOnce} at once`;
    const add = (ours: string, peer: string, atLeast: number): void => {
      const title = `${ours} to ${peer}, ${at}, checks/s`;
      figures.push(figure(title, compare(perSecond(ours), perSecond(peer)), { of: 'ratio', atLeast }));
    };
    // Alone there is nothing to share a call with.
    const toBest = atOnce === 1 ? 0.85 : 2;
    for (const [name, check] of libraries) {
      if (check !== undefined) add('gcra', name, toBest);
      else {
        const ours = { ours: median(perSecond('gcra')) };
        figures.push(figure(`gcra to ${name}, ${at}, checks/s`, ours, { of: 'ratio', atLeast: toBest }));
      }
    }
    add('gcra', 'raw Lua GCRA', atOnce === 1 ? 1 : 2.8);
    add('gcra with a remainder', 'raw Lua GCRA', atOnce === 1 ? 0.9 : 2.5);
    add('fixed window', 'raw INCR and EXPIRE', atOnce === 1 ? 0.6 : 1);
    if (atOnce === 1) continue;
    figures.push(
      figure(
        `three policies in one decision, ${at}, decisions/s of ours`,
        { ours: median(perSecond('three policies')) },
        {
          of: 'ours',
          atLeast: 100_000,
        },
      ),
    );
    const cpu = (name: string): number[] => {
      const { cpuUs, serverCpuUs: inRedis } = of(samples, name);
      return cpuUs.map((us, round) => us + (inRedis[round] as number));
    };
    figures.push(
      figure(
        `gcra to raw Lua GCRA, ${at}, us of CPU of client and Redis per check, bound of ours`,
        compare(cpu('gcra'), cpu('raw Lua GCRA')),
        {
          of: 'ours',
          atMost: 4.5,
        },
      ),
    );
  }
  return figures;
}

/** Both over the REST protocol of Upstash, whose server stands in front of the same Redis in this very process. */
async function overRest(raw: Redis): Promise<Figure[]> {
  const server = await startUpstashServer({ redis: raw });
  const client = new Upstash({ url: server.url, token: server.token, automaticDeserialization: false });
  const redis = upstashExecutor(client, { commandTimeout: '10s' });
  try {
    const limiter = createRateLimiter({
      policies: { rest: gcra({ limit, window: windowMs }) },
      store: redisStore({ redis }),
      timeout: '10s',
      onUnavailable: 'throw',
    });
    const peer = await upstashLimiter(server, limit, windowMs);
    const ways = new Map<string, (i: number) => Promise<unknown>>([
      ['ours', (i) => limiter.consume({ rest: [idOf(i)] })],
    ]);
    if (peer !== undefined) ways.set('peer', (i) => peer(idOf(i)));
    const contenders = [...ways].map(([name, once]) => ({ name, run: concurrently(64, once) }));
    const samples = await measure({ contenders, rounds: 7 });
    const perSecond = (name: string): number[] => of(samples, name).timeUs.map((us) => 1e6 / us);
    const name = 'gcra to @upstash/ratelimit, both over REST, 64 at once, checks/s';
    const measured =
      peer === undefined
        ? { ours: median(perSecond('ours')) }
        : compare(perSecond('ours'), perSecond('peer'));
    return [figure(name, measured, { of: 'ratio', atLeast: 2 })];
  } finally {
    await redis.close();
    await server.close();
  }
}

function of(samples: ReadonlyMap<string, Samples>, name: string): Samples {
  const found = samples.get(name);
  if (found === undefined) throw new Error(`Nobody measured ${name}`);
  return found;
}

function cpuUsOf(info: string): number {
  const seconds = [...info.matchAll(/^used_cpu_(?:sys|user):([\d.]+)/gm)].map(([, value]) => Number(value));
  return seconds.reduce((sum, value) => sum + value, 0) * 1e6;
}

/** Requests of ids that Redis has said no to. */
async function denials(redis: Executor): Promise<Figure[]> {
  const { RateLimiterMemory } = await import('rate-limiter-flexible');
  const limiter = createRateLimiter({
    policies: { blocked: gcra({ limit: 10, window: '1h' }) },
    store: redisStore({ redis }),
    timeout: '10s',
    onUnavailable: 'throw',
  });
  const inMemoryBlock = new RateLimiterMemory({ points: 10, duration: 3_600 });
  for (const id of ids.slice(0, 100)) {
    await limiter.consume({ blocked: [id] }, { cost: 10 });
    await inMemoryBlock.consume(id, 10);
  }
  const samples = await measure({
    contenders: [
      { name: 'ours', run: concurrently(64, (i) => limiter.consume({ blocked: [idOf(i % 100)] })) },
      {
        name: 'peer',
        run: concurrently(64, (i) => inMemoryBlock.consume(idOf(i % 100)).catch(() => undefined)),
      },
    ],
  });
  const perSecond = (name: string): number[] => of(samples, name).timeUs.map((us) => 1e6 / us);
  return [
    figure(
      'known denials to rate-limiter-flexible in memory, denials/s, bound of ours',
      compare(perSecond('ours'), perSecond('peer')),
      {
        of: 'ours',
        atLeast: 1_200_000,
      },
    ),
  ];
}

async function inMemory(): Promise<Figure[]> {
  const policy = gcra({ limit: 10, window: '1h' });
  const session = memoryStore().open({ clock: systemClock, timeoutMs: 150, onAvailable: () => {} });
  const requests = ids.map(
    (id): LimitRequest => ({ mode: 'take', policies: [policy], keys: [id], cost: 1, now: Date.now() }),
  );
  for (const request of requests) await session.check({ ...request, cost: 10 });
  const limiter = createRateLimiter({ policies: { api: policy }, store: memoryStore() });
  for (const id of ids) await limiter.consume({ api: [id] }, { cost: 10 });
  const counts = new Map<string, { count: number; end: number }>();
  for (const id of ids) counts.set(id, { count: 10, end: Date.now() + 3_600_000 });
  const bare = (id: string): boolean => {
    const counter = counts.get(id);
    return counter === undefined || counter.end <= Date.now() || counter.count < 10;
  };
  const inTurn = (once: (i: number) => unknown) => (operations: number) => {
    for (let i = 0; i < operations; i++) once(i);
  };
  const samples = await measure({
    contenders: [
      {
        name: 'memory store',
        run: inTurn((i) => session.check(requests[i % requests.length] as LimitRequest)),
      },
      { name: 'bare Map', run: inTurn((i) => bare(idOf(i))) },
      { name: 'limiter', run: concurrently(1, (i) => limiter.consume({ api: [idOf(i)] })) },
    ],
  });
  const inNs = (name: string): number[] => of(samples, name).timeUs.map((us) => us * 1_000);
  return [
    figure(
      'memory store to a bare Map, ns per check, bound of ours',
      compare(inNs('memory store'), inNs('bare Map')),
      {
        of: 'ours',
        atMost: 130,
      },
    ),
    figure(
      'a denial by a limiter in memory to a bare Map, ns per decision, bound of ours',
      compare(inNs('limiter'), inNs('bare Map')),
      {
        of: 'ours',
        atMost: 830,
      },
    ),
  ];
}

/** What Redis keeps of one id. */
async function bytes(raw: Redis, redis: Executor): Promise<Figure[]> {
  const limiter = createRateLimiter({
    policies: { b: gcra({ limit: 100, window: '1m' }), s: slidingWindow({ limit: 100, window: '1m' }) },
    store: redisStore({ redis, namespace: 'm' }),
    timeout: '10s',
    onUnavailable: 'throw',
  });
  const luaGcra = rawLuaGcra(raw, 100, 60_000);
  await limiter.consume({ b: ['u1'] });
  for (let i = 0; i < 60; i++) await limiter.consume({ s: ['u1'] });
  await luaGcra('m:l:global:b:raw:u1');
  const usage = async (key: string): Promise<number> => Number(await raw.memory('USAGE', key));
  const ours = await usage('m:l:global:b:g1:u1');
  const peer = await usage('m:l:global:b:raw:u1');
  return [
    figure(
      'bytes of Redis per id, gcra to raw Lua GCRA',
      { ours, peer, ratio: ours / peer },
      { of: 'ratio', atMost: 1 },
    ),
    figure(
      'bytes of Redis per id, sliding window of 100 after 60 requests',
      { ours: await usage('m:l:global:s:s1:u1') },
      {
        of: 'ours',
        atMost: 520,
      },
    ),
  ];
}

async function accuracy(redisUrl: string): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const [processes, skewMs] of [
    [1, 0],
    [4, 300],
    [4, 300_000],
  ] as const) {
    const { strict, bucket, counter } = await runTraces(redisUrl, processes, skewMs);
    const where = `5 traces, ${processes} ${processes === 1 ? 'process' : 'processes'}, clocks off by ${skewMs} ms`;
    // Two that are never wrong are equal.
    const versus = (ours: number, peer: number) => ({ ours, peer, ratio: ours === peer ? 1 : ours / peer });
    figures.push(
      figure(
        `sliding window, wrongly passed %, ${where}, bound of ours`,
        versus(strict.wrongAllow, counter.wrongAllow),
        { of: 'ours', atMost: 0.2 },
      ),
      figure(
        `sliding window, wrongly denied %, ${where}, bound of ours`,
        { ours: strict.wrongDeny },
        { of: 'ours', atMost: 0.5 },
      ),
      figure(
        `sliding window, most in a window to the limit, ${where}, bound of ours`,
        versus(strict.most, counter.most),
        { of: 'ours', atMost: 1.05 },
      ),
      figure(
        `gcra, wrongly passed %, ${where}, bound of ours`,
        { ours: bucket.wrongAllow },
        { of: 'ours', atMost: 0.5 },
      ),
      figure(
        `gcra, wrongly denied %, ${where}, bound of ours`,
        { ours: bucket.wrongDeny },
        { of: 'ours', atMost: 0.5 },
      ),
    );
  }
  return figures;
}
