import { createCache } from '@cachekit/core';
import { ioredisExecutor, redisTier } from '@cachekit/redis';
import { startRedis } from '@cachekit/services';
import { BentoCache, bentostore } from 'bentocache';
import { redisDriver } from 'bentocache/drivers/redis';
import { Redis } from 'ioredis';
import { type Figure, figure } from '../runner/figure.ts';
import { median } from '../runner/median.ts';
import { callsOf, keyOf } from './values.ts';

/** The time a call of Redis has by default. */
const commandTimeoutMs = 250;

/** How much longer a missing value takes than its load while Redis is there and does not answer. */
export async function outage(): Promise<Figure[]> {
  const server = await startRedis({ own: true });
  const raw = new Redis(server.url);
  raw.on('error', () => undefined);
  const redis = ioredisExecutor(raw);
  const cached = createCache({ memory: false, remote: redisTier({ redis }) });
  const bento = new BentoCache({
    default: 'redis',
    stores: { redis: bentostore().useL2Layer(redisDriver({ connection: raw })) },
  });
  const value = callsOf(2);
  const load = async () => value;
  const ours = (key: string) => cached.getOrLoad(keyOf(key), load);
  const peer = (key: string) =>
    Promise.race([
      bento.getOrSet({ key, ttl: '1h', factory: load, timeout: 0 }),
      new Promise((resolve) => setTimeout(resolve, givenUpMs)),
    ]);
  try {
    await Promise.all([ours('warm'), peer('warm')]);
    await server.kill('SIGSTOP');
    const first = await tookMs(() => ours('first'));
    const firstOfPeer = await tookMs(() => peer('first'));
    const next: number[] = [];
    // Few enough that the tier is not tried again in between.
    for (let read = 0; read < 50; read++) next.push(await tookMs(() => ours(`next ${read}`)));
    return [
      figure(
        `first read of a missing value while Redis does not answer, to bentocache given up after ${givenUpMs} ms, ms`,
        { ours: first, peer: firstOfPeer, ratio: first / firstOfPeer },
        { of: 'ours', atMost: 2 * commandTimeoutMs },
      ),
      figure(
        'next reads of missing values while Redis does not answer, ms',
        { ours: median(next) },
        { of: 'ours', atMost: 0.2 },
      ),
    ];
  } finally {
    await server.kill('SIGCONT');
    await cached.close();
    await redis.close();
    raw.disconnect();
    await server.stop();
  }
}

const givenUpMs = 5_000;

async function tookMs(run: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await run();
  return performance.now() - began;
}
