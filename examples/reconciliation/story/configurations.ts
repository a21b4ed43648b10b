import { type FaultProxy, startFaultProxy } from '@cachekit/core/testing';
import type { RedisEnvironment } from '@cachekit/redis/env';
import { startUpstashServer } from '@cachekit/redis/testing';
import { Redis } from 'ioredis';
import type { WiringOptions } from '../wiring.ts';
import { startServer, untilHit } from './server.ts';
import type { Table } from './table.ts';

/** The application without Redis, with one by its address, and with one at Upstash; told by its environment alone. */
export async function configurations(
  redisUrl: string,
  base: Omit<WiringOptions, 'env' | 'onTrouble'>,
): Promise<Table> {
  const redis = new URL(redisUrl);
  // Between the application and Redis, to count its connections. Each has a database of its own.
  const line = await startFaultProxy({ host: redis.hostname, port: Number(redis.port) });
  const upstash = await startUpstashServer({ redis: new Redis(`${redisUrl}/2`, { lazyConnect: true }) });
  const restLine = await startFaultProxy({ port: Number(new URL(upstash.url).port) });
  const environments: readonly (readonly [name: string, env: RedisEnvironment, line?: FaultProxy])[] = [
    ['nothing is set', {}],
    ['REDIS_URL', { REDIS_URL: `redis://127.0.0.1:${line.port}/1` }, line],
    [
      'UPSTASH_REDIS_REST_URL and _TOKEN',
      {
        UPSTASH_REDIS_REST_URL: `http://127.0.0.1:${restLine.port}`,
        UPSTASH_REDIS_REST_TOKEN: upstash.token,
      },
      restLine,
    ],
  ];

  const rows: string[][] = [];
  try {
    for (const [name, env, line] of environments) {
      const connections = (): string => String(line?.connections ?? 0);
      const first = await startServer({ ...base, env });
      const other = await startServer({ ...base, env });
      const atFirst = connections();
      for (const server of [first, other]) await untilHit(server, '/api/settings', 't1');
      const answers = [
        await first.ask('/api/accounts'),
        await first.ask('/api/accounts'),
        await other.ask('/api/accounts'),
      ];
      rows.push([name, atFirst, ...answers.map(({ cache }) => cache), connections()]);
      await first.close();
      await other.close();
    }
  } finally {
    await line.close();
    await restLine.close();
    await upstash.close();
  }
  return {
    title: 'Redis is chosen by the environment alone, and nothing connects before it is used (RC-1)',
    head: [
      'environment',
      'connections of two servers',
      'GET accounts',
      'again',
      'at the other',
      'connections then',
    ],
    rows,
  };
}
