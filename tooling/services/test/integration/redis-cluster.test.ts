import { Cluster } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RedisCluster, startRedisCluster } from '../../index.ts';

let redis: RedisCluster;
let client: Cluster;

beforeAll(async () => {
  redis = await startRedisCluster();
  client = new Cluster([...redis.nodes], { clusterRetryStrategy: () => 50, retryDelayOnFailover: 50 });
  client.on('error', () => {});
});

afterAll(async () => {
  client?.disconnect();
  await redis?.stop();
});

test('three masters serve all keys between them', async () => {
  expect(redis.nodes).toHaveLength(6);
  const masters = await redis.masters();
  expect(masters).toHaveLength(3);
  const keys = Array.from({ length: 60 }, (_, n) => `key:${n}`);
  await Promise.all(keys.map((key) => client.set(key, key)));
  expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys);
  const sizes = await Promise.all(client.nodes('master').map((node) => node.dbsize()));
  expect(sizes).toHaveLength(3);
  expect(Math.min(...sizes)).toBeGreaterThan(0);
});

test('a replica takes the place of a killed master, which comes back as a replica', async () => {
  const [{ port } = { port: 0 }] = await redis.masters();
  await redis.kill(port);
  await redis.failedOver(port);
  expect((await redis.masters()).map((master) => master.port)).not.toContain(port);
  const keys = Array.from({ length: 60 }, (_, n) => `after:${n}`);
  await Promise.all(keys.map((key) => client.set(key, key)));

  await redis.restart(port);
  await redis.settled();
  expect((await redis.masters()).map((master) => master.port)).not.toContain(port);
  expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys);
});
