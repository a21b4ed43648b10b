import { type Cache, createCache, defineKeys, resource } from '@cachekit/core';
import { ioredisExecutor, redisTier } from '@cachekit/redis';
import { startRedis } from '@cachekit/services';
import { Redis } from 'ioredis';
import { concurrently } from '../runner/contender.ts';
import { type Figure, figure } from '../runner/figure.ts';
import { compare, measure, type Samples } from '../runner/measure.ts';

const listening = 8;
const atOnce = 64;
const keys = defineKeys({
  scope: 'tenant',
  resources: { value: resource<string, { id: string }>({ ttl: '1h' }) },
});
const value = 'x'.repeat(200);
const keyOf = (index: number) => keys.value({ tenant: 'acme', id: String(index % 512) });

/** What it costs the server that eight processes hear of every write, to a SET of which nobody hears. */
export async function coherence(): Promise<Figure[]> {
  const server = await startRedis({ own: true });
  const raw = new Redis(server.url);
  const executors = Array.from({ length: listening }, () => ioredisExecutor(raw, { commandTimeout: '10s' }));
  const caches = executors.map((redis) =>
    createCache({
      remote: redisTier({ redis, coherence: 'tracking' }),
      policy: { timeout: { hard: '10s' } },
    }),
  );
  const writer = caches[0] as Cache;
  try {
    await Promise.all(caches.map(armed));
    const samples = await measure({
      contenders: [
        { name: 'SET', run: concurrently(atOnce, (i) => raw.set(`raw:${i % 512}`, value, 'EX', 3_600)) },
        { name: 'heard SET', run: concurrently(atOnce, (i) => raw.set(keyOf(i).wire, value, 'EX', 3_600)) },
        { name: 'set()', run: concurrently(atOnce, (i) => writer.set(keyOf(i), value)) },
      ],
      serverCpuUs: async () => usedUs(await raw.info('cpu')),
    });
    const title = `${listening} processes hear of it, to a SET of which nobody hears, us of server CPU`;
    return [
      cpu(`SET of which ${title}`, samples, 'heard SET'),
      cpu(`set() of which ${title}`, samples, 'set()'),
    ];
  } finally {
    await Promise.all(caches.map((cache) => cache.close()));
    await Promise.all(executors.map((redis) => redis.close()));
    raw.disconnect();
    await server.stop();
  }
}

/** Resolves once the cache hears of every change. */
async function armed(cache: Cache): Promise<void> {
  const heard = Promise.withResolvers<void>();
  cache.on('coherence', ({ state }) => {
    if (state === 'armed') heard.resolve();
  });
  await cache.get(keyOf(0));
  if (cache.metrics().memory.trusted) return;
  await heard.promise;
}

function cpu(name: string, samples: ReadonlyMap<string, Samples>, ours: string): Figure {
  const of = (contender: string) => (samples.get(contender) as Samples).serverCpuUs;
  return figure(name, compare(of(ours), of('SET')), { of: 'ratio', atMost: 1.5 });
}

/** What the server says it used, in the kernel too. */
function usedUs(info: string): number {
  const of = (name: string): number => Number(new RegExp(`^${name}:(.+)$`, 'm').exec(info)?.[1]);
  return (of('used_cpu_user') + of('used_cpu_sys')) * 1_000_000;
}
