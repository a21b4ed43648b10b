import { createCache, defineKeys, resource } from '@cachekit/core';
import { redisTier } from '@cachekit/redis';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { redisDriver } from 'bentocache/drivers/redis';
import { type Figure, figure } from '../runner/figure.ts';
import { quantile } from '../runner/quantile.ts';
import type { WithRedis } from './with-redis.ts';

const ttlMs = 500;
const loadMs = 150;
const runMs = 4_000;
const nodes = 4;
const readersOfNode = 16;
const keys = defineKeys({
  scope: 'tenant',
  resources: { report: resource<string>({ ttl: ttlMs, staleWhileRevalidate: '1h' }) },
});
const key = keys.report({ tenant: 'acme' });

/** How long readers wait while a value that ends again and again is loaded behind them, and how often it is. */
export async function staleReads({ redis, raw }: WithRedis): Promise<Figure[]> {
  let loads = 0;
  const load = async () => {
    loads++;
    await new Promise((resolve) => setTimeout(resolve, loadMs));
    return 'report';
  };
  const caches = Array.from({ length: nodes }, () => createCache({ remote: redisTier({ redis }) }));
  const ours = await read(caches.map((cache) => () => cache.getOrLoad(key, load)));
  // The first load is everybody's wait, and no refresh.
  const refreshes = loads - 1;
  for (const cache of caches) await cache.close();
  const bento = Array.from(
    { length: nodes },
    () =>
      new BentoCache({
        default: 'both',
        stores: {
          both: bentostore()
            .useL1Layer(memoryDriver())
            .useL2Layer(redisDriver({ connection: raw })),
        },
      }),
  );
  const peer = await read(
    bento.map((cache) => () => {
      return cache.getOrSet({ key: 'report', ttl: ttlMs, grace: '1h', timeout: 0, factory: load });
    }),
  );
  const title = 'read of a value that is refreshed behind, to bentocache,';
  const at = (share: number) => {
    const [mine, others] = [quantile(ours, share), quantile(peer, share)];
    return { ours: mine, peer: others, ratio: mine / others };
  };
  return [
    figure(`${title} p99 ms`, at(0.99), { of: 'ours', atMost: 0.01 }),
    figure(`${title} p99.9 ms`, at(0.999), { of: 'ours', atMost: 0.1 }),
    figure(
      `refreshes per time to live of ${nodes} nodes together`,
      { ours: refreshes / (runMs / (ttlMs + loadMs)) },
      { of: 'ours', atMost: 1.1 },
    ),
  ];
}

/** How long each read took that came after the first load, in milliseconds. */
async function read(nodesOf: readonly (() => Promise<unknown>)[]): Promise<number[]> {
  const waitsMs: number[] = [];
  await Promise.all(nodesOf.map((get) => get()));
  const end = performance.now() + runMs;
  const reader = async (get: () => Promise<unknown>): Promise<void> => {
    while (performance.now() < end) {
      const asked = performance.now();
      await get();
      waitsMs.push(performance.now() - asked);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  await Promise.all(nodesOf.flatMap((get) => Array.from({ length: readersOfNode }, () => reader(get))));
  return waitsMs;
}
