import { createCache } from '@cachekit/core';
import { ioredisExecutor, redisTier } from '@cachekit/redis';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { redisDriver } from 'bentocache/drivers/redis';
import { Redis } from 'ioredis';
import { callsOf, keyOf } from './values.ts';

/** What one process of a stampede is told. */
export interface StampedeTask {
  readonly redisUrl: string;
  readonly who: 'ours' | 'bentocache';
  /** How many callers it has. */
  readonly callers: number;
  readonly loadMs: number;
}

/** What it saw. */
export interface StampedeResult {
  readonly loads: number;
  /** How long each caller waited, in milliseconds. */
  readonly waitsMs: readonly number[];
}

const task = JSON.parse(process.argv[2] ?? '') as StampedeTask;
const client = new Redis(task.redisUrl);
const redis = ioredisExecutor(client, { commandTimeout: '10s' });
const cached = createCache({ remote: redisTier({ redis }) });
const bento = new BentoCache({
  default: 'both',
  prefix: 'bento',
  stores: {
    both: bentostore()
      .useL1Layer(memoryDriver())
      .useL2Layer(redisDriver({ connection: client })),
  },
});
let loads = 0;
const load = async () => {
  loads++;
  await new Promise((resolve) => setTimeout(resolve, task.loadMs));
  return callsOf(2);
};
const ways = {
  ours: (key: string) => cached.getOrLoad(keyOf(key), load),
  bentocache: (key: string) => bento.getOrSet({ key, ttl: '1h', factory: load, timeout: 0 }),
};
const get = ways[task.who];

await get(`warm:${process.pid}`);
loads = 0;
/** When all processes begin, by the clock of the machine. */
const begin = await new Promise<number>((resolve) => {
  process.once('message', (at) => resolve(at as number));
  process.send?.('ready');
});
await new Promise((resolve) => setTimeout(resolve, begin - Date.now()));
const waitsMs = await Promise.all(
  Array.from({ length: task.callers }, async () => {
    const asked = performance.now();
    await get('stampede');
    return performance.now() - asked;
  }),
);
const result: StampedeResult = { loads, waitsMs };
process.send?.(result);
await cached.close();
await redis.close();
await bento.disconnectAll();
client.disconnect();
process.disconnect?.();
