import type { CoherenceMode } from '@cachekit/core';
import { startRedis, startRedisCluster, startSentinel } from '@cachekit/services';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startUpstashServer } from '../../../src/testing/index.ts';
import { liveHistory } from './history.ts';
import type { Reach } from './reach.ts';

const host = '127.0.0.1';
const long = process.env.CACHEKIT_LONG === '1';
const runMs = long ? 60_000 : 6_000;

/** A store and what ends it. */
interface Store {
  readonly reach: Reach;
  stop(): Promise<unknown>;
}

const standalone = async (): Promise<Store> => {
  const server = await startRedis({ own: true });
  return { reach: { kind: 'standalone', servers: [{ host, port: server.port }] }, stop: () => server.stop() };
};

const sentinel = async (): Promise<Store> => {
  const { name, sentinels, servers, stop } = await startSentinel();
  return { reach: { kind: 'sentinel', name, sentinels, servers }, stop };
};

const cluster = async (): Promise<Store> => {
  const { nodes, stop } = await startRedisCluster();
  return { reach: { kind: 'cluster', servers: nodes }, stop };
};

const http = async (): Promise<Store> => {
  const redis = await startRedis({ own: true });
  const server = await startUpstashServer({ redis: new Redis(redis.url, { lazyConnect: true }) });
  return {
    reach: { kind: 'http', servers: [{ host, port: Number(new URL(server.url).port) }], token: server.token },
    stop: async () => {
      await server.close();
      await redis.stop();
    },
  };
};

/** Those with servers of their own kind take the long run. */
const stores: [string, () => Promise<Store>, readonly CoherenceMode[], readonly number[]][] = [
  ['one server', standalone, ['tracking', 'pubsub'], long ? [1, 2, 3, 4, 5] : [1]],
];
if (long) {
  stores.push(
    ['Sentinel', sentinel, ['tracking', 'pubsub'], [1, 2]],
    ['Redis Cluster', cluster, ['tracking', 'pubsub'], [1, 2]],
    ['Upstash', http, ['log'], [1, 2, 3]],
  );
}

describe.each(stores)('random histories of four processes on %s', (_name, start, coherences, seeds) => {
  let store: Store;

  beforeAll(async () => {
    store = await start();
  }, 120_000);
  afterAll(() => store?.stop());

  it.each(coherences.flatMap((coherence) => seeds.map((seed) => ({ coherence, seed }))))(
    'never an older value by the deleting process and by reads that reach Redis, elsewhere in time (by $coherence, seed $seed)',
    async ({ coherence, seed }) => {
      const told = await liveHistory({ reach: store.reach, coherence, seed, runMs });
      expect(told.wrong).toEqual([]);
      expect(told.reads).toBeGreaterThan(200);
      expect(told.written).toBeGreaterThan(20);
    },
    runMs + 120_000,
  );
});
