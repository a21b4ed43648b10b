import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { engineRefusal } from '../../container.ts';
import {
  createDatabase,
  MissingServiceError,
  type PostgresServer,
  type RedisServer,
  startPostgres,
  startRedis,
} from '../../index.ts';

// Images may have to be pulled first.
vi.setConfig({ testTimeout: 300_000 });

const refusal = await engineRefusal();

beforeAll(() => {
  vi.stubEnv('CACHEKIT_SERVICES', 'docker');
});

afterAll(() => {
  vi.unstubAllEnvs();
});

async function rows(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

if (refusal !== undefined) {
  test('no container engine here', async () => {
    process.stderr.write(`no container engine here: ${refusal}\nThe testcontainers path was not run.\n`);
    for (const start of [startRedis, startPostgres]) {
      await expect(start()).rejects.toThrow(MissingServiceError);
      await expect(start()).rejects.toThrow(refusal);
    }
  });
} else {
  test('Redis in a container: commands, arguments, freeze, kill and restart on the same port', async () => {
    let redis: RedisServer | undefined;
    let client: Redis | undefined;
    try {
      redis = await startRedis({ args: ['--maxmemory', '10mb'] });
      expect(redis).toMatchObject({ link: 'docker', pid: undefined });
      client = new Redis(redis.url, { retryStrategy: () => 50, maxRetriesPerRequest: null });
      client.on('error', () => {});
      await client.set('a', '1');
      expect(await client.get('a')).toBe('1');
      expect(await client.config('GET', 'maxmemory')).toEqual(['maxmemory', '10485760']);

      await redis.kill('SIGSTOP');
      let answered = false;
      const pending = client.get('a').then((value) => {
        answered = true;
        return value;
      });
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(answered).toBe(false);
      await redis.kill('SIGCONT');
      expect(await pending).toBe('1');

      const { url } = redis;
      await redis.kill('SIGKILL');
      await redis.restart();
      expect(redis.url).toBe(url);
      expect(await client.get('a')).toBeNull();
    } finally {
      client?.disconnect();
      await redis?.stop();
    }
  });

  test('PostgreSQL in a container: settings, a database of its own, kill and restart with its data', async () => {
    let postgres: PostgresServer | undefined;
    try {
      postgres = await startPostgres();
      expect(postgres).toMatchObject({ link: 'docker', pid: undefined });
      const database = await createDatabase(postgres.url);
      const settings = `select current_setting('wal_level') as wal, current_setting('max_connections') as connections`;
      expect(await rows(database.url, settings)).toEqual([{ wal: 'logical', connections: '300' }]);
      await rows(database.url, 'create table kept as select 42 as n');
      await postgres.kill('SIGSTOP');
      await postgres.kill('SIGKILL');
      await postgres.restart();
      expect(await rows(database.url, 'select n from kept')).toEqual([{ n: 42 }]);
      await database.drop();
    } finally {
      await postgres?.stop();
    }
  });
}
