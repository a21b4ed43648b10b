import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RedisSentinel, startSentinel } from '../../index.ts';

let sentinel: RedisSentinel;

beforeAll(async () => {
  sentinel = await startSentinel();
});

afterAll(async () => {
  await sentinel?.stop();
});

test('three sentinels agree on the master, and name its replica when it is killed', async () => {
  const client = new Redis({
    sentinels: [...sentinel.sentinels],
    name: sentinel.name,
    sentinelRetryStrategy: () => 50,
    retryStrategy: () => 50,
    maxRetriesPerRequest: null,
  });
  client.on('error', () => {});
  try {
    expect(sentinel.sentinels).toHaveLength(3);
    expect(await sentinel.master()).toEqual(sentinel.servers[0]);
    await client.set('a', '1');
    expect(await client.wait(1, 5_000)).toBe(1);

    const killed = await sentinel.killMaster();
    expect(killed).toEqual(sentinel.servers[0]);
    expect(await sentinel.promoted(killed)).toEqual(sentinel.servers[1]);
    expect(await client.get('a')).toBe('1');
    await client.set('a', '2');

    await sentinel.restart(killed.port);
    expect(await sentinel.master()).toEqual(sentinel.servers[1]);
  } finally {
    client.disconnect();
  }
});
