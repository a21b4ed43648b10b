import { createCache, defineKeys, resource } from '@cachekit/core';
import { ioredisExecutor, redisTier } from '@cachekit/redis';
import { startRedis } from '@cachekit/services';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis';
import { Redis } from 'ioredis';
import { concurrently } from '../runner/contender.ts';
import { type Figure, figure } from '../runner/figure.ts';
import { median } from '../runner/median.ts';

const tagged = 100_000;
/** Of those, how many the other node keeps in memory. */
const held = 1_000;
const hour = 3_600_000;
const keys = defineKeys({
  scope: 'tenant',
  resources: {
    item: resource<string, { id: string }>({ ttl: '1d', tags: ({ id }) => ['items', `item:${id}`] }),
  },
});
const keyOf = (id: string) => keys.item({ tenant: 'acme', id });

interface Invalidation {
  readonly ms: number;
  readonly commands: number;
  /** The longest that nothing else of this process could run. */
  readonly blockedMs: number;
  /** Values that the other node served 100 ms later all the same. */
  readonly stale: number;
}

/** What it takes to invalidate a tag of a hundred thousand entries, and what another node serves afterwards. */
export async function tagInvalidation(): Promise<Figure[]> {
  const ours = await oursInvalidates();
  const peer = await bentoInvalidates();
  const title = `invalidation of a tag of ${tagged} entries`;
  const against = (what: keyof Invalidation) => ({
    ours: ours[what],
    peer: peer[what],
    ratio: ours[what] / peer[what],
  });
  return [
    figure(`${title}, commands, to bentocache`, against('commands'), { of: 'ours', atMost: 1 }),
    figure(`${title}, ms, to bentocache`, against('ms'), { of: 'ours', atMost: 2 }),
    figure(`${title}, ms in which nothing else runs, to bentocache`, against('blockedMs'), {
      of: 'ours',
      atMost: 5,
    }),
    figure(
      `${title}, of ${held} held by another node how many it serves 100 ms later; clocks an hour off`,
      { ours: ours.stale },
      { of: 'ours', atMost: 0 },
    ),
  ];
}

async function oursInvalidates(): Promise<Invalidation> {
  const server = await startRedis({ own: true });
  const raw = new Redis(server.url);
  const nodes = [-hour, hour].map((offMs) => {
    const redis = ioredisExecutor(raw, { commandTimeout: '10s' });
    const counted = counting(redis);
    const cache = createCache({
      remote: redisTier({ redis: counted.redis }),
      clock: {
        now: () => Date.now() + offMs,
        setTimeout: (run, ms) => setTimeout(run, ms),
        clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
      },
      memory: { maxEntries: 2 * held },
      policy: { timeout: { hard: '10s' } },
    });
    return { redis, cache, counted };
  });
  const [writer, reader] = nodes as [(typeof nodes)[0], (typeof nodes)[0]];
  try {
    const ids = Array.from({ length: tagged }, (_, id) => String(id));
    await concurrently(256, (i) => writer.cache.set(keyOf(String(i)), 'value'))(tagged);
    await reader.cache.getMany(ids.slice(0, held).map(keyOf));
    const before = writer.counted.calls();
    const seen = await timed(() => writer.cache.invalidateTags(keys.tag('acme', 'items')));
    const commands = (writer.counted.calls() - before) / rounds;
    await new Promise((resolve) => setTimeout(resolve, 100));
    const values = ids.slice(0, held).map((id) => reader.cache.peek(keyOf(id)));
    const after = await reader.cache.getMany(ids.slice(0, held).map(keyOf));
    const stale = [...values, ...after].filter((value) => value !== undefined).length;
    return { ...seen, commands, stale };
  } finally {
    for (const { cache, redis } of nodes) {
      await cache.close();
      await redis.close();
    }
    raw.disconnect();
    await server.stop();
  }
}

type Executor = ReturnType<typeof ioredisExecutor>;

/** Counts what is sent. */
function counting(redis: Executor): { redis: Executor; calls(): number } {
  let calls = 0;
  const command = redis.command.bind(redis);
  const script = redis.script.bind(redis);
  redis.command = (...args) => {
    calls++;
    return command(...args);
  };
  redis.script = (...args) => {
    calls++;
    return script(...args);
  };
  return { redis, calls: () => calls };
}

async function bentoInvalidates(): Promise<Invalidation> {
  const server = await startRedis({ own: true });
  const client = new Redis(server.url);
  let commands = 0;
  const send = client.sendCommand.bind(client);
  client.sendCommand = (command, stream) => {
    commands++;
    return send(command, stream);
  };
  const bento = new BentoCache({
    default: 'both',
    stores: {
      both: bentostore()
        .useL1Layer(memoryDriver({ maxItems: 2 * held }))
        .useL2Layer(redisDriver({ connection: client }))
        .useBus(
          redisBusDriver({ connection: { host: '127.0.0.1', port: Number(new URL(server.url).port) } }),
        ),
    },
  });
  try {
    await concurrently(256, (i) =>
      bento.set({ key: String(i), value: 'value', tags: ['items', `item:${i}`], ttl: '1d' }),
    )(tagged);
    commands = 0;
    const seen = await timed(() => bento.deleteByTag({ tags: ['items'] }));
    return { ...seen, commands: commands / rounds, stale: 0 };
  } finally {
    await bento.disconnectAll();
    client.disconnect();
    await server.stop();
  }
}

/** One alone says little: a machine stops a process for milliseconds now and then. */
const rounds = 9;

/** How long it takes most times, and for how long nothing else runs meanwhile. */
async function timed(run: () => Promise<unknown>): Promise<{ ms: number; blockedMs: number }> {
  const seen: Awaited<ReturnType<typeof once>>[] = [];
  for (let round = 0; round < rounds; round++) seen.push(await once(run));
  return {
    ms: median(seen.map(({ ms }) => ms)),
    blockedMs: median(seen.map(({ blockedMs }) => blockedMs)),
  };
}

async function once(run: () => Promise<unknown>): Promise<{ ms: number; blockedMs: number }> {
  globalThis.gc?.();
  let last = performance.now();
  let blockedMs = 0;
  let ticking = true;
  const tick = (): void => {
    const now = performance.now();
    blockedMs = Math.max(blockedMs, now - last);
    last = now;
    if (ticking) setImmediate(tick);
  };
  setImmediate(tick);
  const began = performance.now();
  await run();
  const ms = performance.now() - began;
  ticking = false;
  await new Promise((resolve) => setImmediate(resolve));
  return { ms, blockedMs };
}
