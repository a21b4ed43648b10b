import { createCache, type RedisExecutor } from '@cachekit/core';
import { metricsHandler } from '@cachekit/core/http';
import { startRedis } from '@cachekit/services';
import { Redis as Upstash } from '@upstash/redis';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ioredisExecutor, type RedisCheck, redisDoctor, redisStats } from '../../src/index.ts';
import { startUpstashServer } from '../../src/testing/index.ts';
import { upstashExecutor } from '../../src/upstash/index.ts';
import { ioredis, type Observer, observe } from './clients.ts';

type Server = Awaited<ReturnType<typeof startRedis>>;

/** What docs/redis-acl.md says a user of the cache needs, for the namespace `ck`. */
const cacheUser = [
  ...['~ck:c:*', '~ck:e:changes', 'resetchannels', '&ck:c:changes', '-@all'],
  ...['+eval', '+evalsha', '+time', '+mget', '+get', '+getrange', '+strlen', '+pttl', '+scan'],
  ...['+set', '+setrange', '+pexpire', '+del', '+unlink', '+publish', '+xadd'],
  ...['+ping', '+info', '+subscribe', '+unsubscribe'],
];
const trackingUser = [...cacheUser, '&__redis__:invalidate', '+client|id', '+client|tracking'];

let server: Server;
let observer: Observer;
const executors: RedisExecutor[] = [];

beforeAll(async () => {
  server = await startRedis({ own: true });
  observer = observe(server.url);
});
beforeEach(async () => {
  await observer.call('ACL', 'LOG', 'RESET');
});
afterEach(async () => {
  await Promise.all(executors.splice(0).map((redis) => redis.close()));
  await observer.config('SET', 'maxmemory', '0');
  await observer.config('SET', 'maxmemory-policy', 'noeviction');
});
afterAll(async () => {
  observer.disconnect();
  await server.stop();
});

function executor(url = server.url, client = ioredis[0]): RedisExecutor {
  const redis = ioredisExecutor((client as (typeof ioredis)[0]).standalone(url), { commandTimeout: '5s' });
  executors.push(redis);
  return redis;
}

async function user(rules: readonly string[]): Promise<string> {
  await observer.call('ACL', 'SETUSER', 'limited', 'reset', 'on', '>secret', ...rules);
  return server.url.replace('redis://', 'redis://limited:secret@');
}

async function diagnosis(redis: RedisExecutor): Promise<Record<RedisCheck, string>> {
  const found = await redisDoctor({ redis });
  const levels = Object.fromEntries(found.map(({ check, level }) => [check, level]));
  return levels as Record<RedisCheck, string>;
}

const healthy = { version: 'ok', eviction: 'ok', memory: 'ok', permissions: 'ok', tracking: 'ok' };

describe('redisDoctor()', () => {
  it('finds nothing wrong with a Redis as it is installed, and writes nothing', async () => {
    await observer.flushall();
    expect(await diagnosis(executor())).toEqual(healthy);
    expect(await observer.dbsize()).toBe(0);
  });

  it('warns of an eviction policy that would eat locks and limits', async () => {
    const used = Number(/used_memory:(\d+)/.exec(String(await observer.info('memory')))?.[1]);
    for (const policy of ['allkeys-lru', 'volatile-ttl']) {
      await observer.config('SET', 'maxmemory-policy', policy);
      await observer.config('SET', 'maxmemory', '0');
      expect((await diagnosis(executor())).eviction).toBe('ok');
      await observer.config('SET', 'maxmemory', String(used * 10));
      const [worst] = await redisDoctor({ redis: executor() });
      expect(worst).toMatchObject({ check: 'eviction', level: 'warning' });
      expect(worst?.message).toContain('locks, limits');
    }
  });

  it('warns of a server that is nearly full', async () => {
    const used = Number(/used_memory:(\d+)/.exec(String(await observer.info('memory')))?.[1]);
    await observer.config('SET', 'maxmemory', String(Math.round(used * 1.1)));
    expect(await diagnosis(executor())).toEqual({ ...healthy, memory: 'warning' });
  });

  it('warns where CLIENT TRACKING is refused', async () => {
    const url = await user([...trackingUser, '-client|tracking']);
    expect(await diagnosis(executor(url))).toEqual({ ...healthy, tracking: 'warning' });
  });

  it('names what this user may not do', async () => {
    for (const missing of ['-setrange', '-mget', '-publish', '-xadd', '-evalsha', '-time']) {
      const [worst] = await redisDoctor({ redis: executor(await user([...trackingUser, missing])) });
      expect(worst, missing).toMatchObject({ check: 'permissions', level: 'failure' });
      expect(worst?.message.toLowerCase(), missing).toContain(missing.slice(1));
    }
    const url = await user([...trackingUser.filter((rule) => rule !== '~ck:c:*'), '~other:*']);
    expect((await diagnosis(executor(url))).permissions).toBe('failure');
  });

  it('says unknown where the server does not tell', async () => {
    const url = await user([...trackingUser, '-info']);
    const silent = { ...healthy, version: 'unknown', eviction: 'unknown', memory: 'unknown' };
    expect(await diagnosis(executor(url))).toEqual(silent);
    const rest = await startUpstashServer({ redis: new Redis(server.url, { lazyConnect: true }) });
    try {
      const client = new Upstash({ url: rest.url, token: rest.token, automaticDeserialization: false });
      expect(await diagnosis(upstashExecutor(client))).toEqual({ ...healthy, tracking: 'warning' });
      const mute = {
        exec: (command: [string, ...(string | number | boolean)[]]) =>
          command[0] === 'INFO'
            ? Promise.reject(Object.assign(new Error('ERR no INFO here'), { name: 'UpstashError' }))
            : client.exec<unknown>(command),
      };
      expect(await diagnosis(upstashExecutor(mute))).toEqual({ ...silent, tracking: 'warning' });
    } finally {
      await rest.close();
    }
  });

  it('rejects where there is no Redis, and refuses options that it does not know', async () => {
    await expect(redisDoctor({ redis: executor('redis://127.0.0.1:1') })).rejects.toMatchObject({
      code: 'REDIS_UNAVAILABLE',
    });
    for (const options of [{}, { redis: executor(), name: 'x' }, { redis: executor(), namespace: 'a:b' }]) {
      await expect(redisDoctor(options as never)).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
    }
  });
});

describe('redisStats()', () => {
  it('CRM-6 gives memory, clients and hit rate of the server to the metrics of the cache', async () => {
    await observer.config('RESETSTAT');
    await observer.set('here', 'x');
    for (const name of ['here', 'here', 'here', 'gone']) await observer.get(name);
    const used = Number(/used_memory:(\d+)/.exec(String(await observer.info('memory')))?.[1]);
    await observer.config('SET', 'maxmemory', String(used * 4));
    const redis = executor();
    const cache = createCache();
    const metrics = metricsHandler(cache, { redis: redisStats(redis) });
    const body = await (await metrics(new Request('http://localhost/api/v1/cache/metrics'))).json();
    await cache.close();
    expect(body.redis).toMatchObject({
      memory: { usedMemoryHuman: expect.stringMatching(/^\d+(\.\d+)?[BKMG]$/) },
      stats: { connectedClients: 2, hitRate: 75 },
    });
    expect(body.redis.memory.memoryUsagePercent).toBeGreaterThan(10);
    expect(body.redis.memory.memoryUsagePercent).toBeLessThan(100);
  });

  it('rejects while Redis does not answer, and refuses what is no executor', async () => {
    await expect(redisStats(executor('redis://127.0.0.1:1'))()).rejects.toMatchObject({
      code: 'REDIS_UNAVAILABLE',
    });
    expect(() => redisStats({} as never)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIGURATION' }));
  });
});
