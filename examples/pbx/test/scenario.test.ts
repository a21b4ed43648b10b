import type { RedisEnvironment } from '@cachekit/redis/env';
import { startUpstashServer, type UpstashServer } from '@cachekit/redis/testing';
import { useDatabase } from '@cachekit/services/vitest';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type Running, run } from '../run.ts';
import { playScenario } from '../scenario/play.ts';
import type { SeedSize } from '../seed/seed.ts';

const smallSize: SeedSize = { users: 5, devices: 20, campaigns: 8, calls: 5_000 };

const sharedLinks = [
  'call is counted',
  'call ends',
  'device shows a code',
  'person agrees',
  'device is told',
  'device comes online',
  'command is sent',
  'limit is hit',
  'device leaves',
];
const offLinks = ['live counters', 'call history', 'pairing', 'presence', 'command is sent', 'limit is hit'];

describe.each([
  { name: 'over REDIS_URL', redis: true, upstash: false },
  { name: 'over Upstash', redis: true, upstash: true },
  { name: 'without Redis, in one process', redis: false, upstash: false },
])('the scenario, $name (PBX-5)', ({ redis, upstash }) => {
  const database = useDatabase();
  const troubles: string[] = [];
  let server: UpstashServer | undefined;
  let running: Running;

  const environment = async (): Promise<RedisEnvironment> => {
    if (!upstash) return redis ? { REDIS_URL: inject('redisUrl') } : {};
    // A database of its own: the keys of the other run are the same.
    const client = new Redis(`${inject('redisUrl')}/1`, { lazyConnect: true });
    server = await startUpstashServer({ redis: client });
    return { UPSTASH_REDIS_REST_URL: server.url, UPSTASH_REDIS_REST_TOKEN: server.token };
  };

  beforeAll(async () => {
    running = await run({
      databaseUrl: database.url,
      redis: await environment(),
      redisTimeout: '2s',
      page: false,
      size: smallSize,
      onProgress: () => {},
      onTrouble: (part, error) => troubles.push(`${part}: ${String(error)}`),
    });
  });
  afterAll(async () => {
    await running?.close();
    await server?.close();
  });

  test('goes from the insert to the event, the view and the cache, and a device is paired, seen and commanded (PBX-4, PBX-9, PBX-10, PBX-11, PBX-12, PBX-13, PBX-15, RC-4, RC-7)', async () => {
    const links = await playScenario(running.origin, '1');
    expect(links.map(({ name }) => name)).toEqual([
      'stream opens',
      'statistics before',
      'call is written',
      'event arrives',
      'list of calls',
      'list of calls again',
      'view is refreshed',
      'view again',
      ...(redis ? sharedLinks : offLinks),
      'operations',
      'limits are told',
    ]);
    const off = links.filter(({ seen }) => seen.startsWith('off')).map(({ name }) => name);
    expect(off).toEqual(redis ? [] : ['live counters', 'call history', 'pairing', 'presence']);
    expect(troubles).toEqual([]);
  });

  test('the row does not reach the answers of another account', async () => {
    const response = await fetch(`${running.origin}/api/calls?limit=100`, {
      headers: { 'X-Account-Id': '2' },
    });
    const { calls } = (await response.json()) as { calls: { id: string }[] };
    const { rows } = await running.switchboard.sql.query<{ id: string }>(
      'select id::text from calls where user_id = 2 order by start_time desc, id desc limit 100',
    );
    expect(calls.map(({ id }) => id)).toEqual(rows.map(({ id }) => id));
  });

  test('a request is refused without an account, and with one that is none', async () => {
    for (const account of ['', '0', '1:2', '*', '{1}', '1\u00a0', '9'.repeat(200)]) {
      const { status } = await fetch(`${running.origin}/api/statistics`, {
        headers: { 'X-Account-Id': account },
      });
      expect(status, account).toBe(401);
    }
  });
});

test('a link that is broken is named, and ends the scenario', async () => {
  // Nothing listens on port 1.
  await expect(playScenario('http://127.0.0.1:1', '1', 300)).rejects.toThrow(
    'stream opens: nothing within 0.3 s',
  );
});
