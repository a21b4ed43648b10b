import type { RedisExecutor } from '@cachekit/core';
import { startRedis } from '@cachekit/services';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { ioredisExecutor } from '../../src/index.ts';
import { connections, ioredis, type Observer, observe } from './clients.ts';
import { eventually } from './eventually.ts';

describe.each(ioredis)('an executor over $name', ({ standalone }) => {
  const prefix = uniqueNamespace();
  let redis: RedisExecutor;
  let observer: Observer;

  beforeAll(() => {
    observer = observe(inject('redisUrl'));
  });
  afterAll(() => observer.disconnect());
  afterEach(() => redis.close());

  it('gives replies as text, integers, null and lists of them', async () => {
    redis = ioredisExecutor(standalone(inject('redisUrl')), { commandTimeout: '5s' });
    expect(await redis.command('set', `${prefix}:a`, 'ü1')).toBe('OK');
    expect(await redis.command('INCR', `${prefix}:n`)).toBe(1);
    expect(await redis.command('MGET', `${prefix}:a`, `${prefix}:none`)).toEqual(['ü1', null]);
    await redis.command('hset', `${prefix}:h`, 'field', 2);
    expect(await redis.command('hgetall', `${prefix}:h`)).toEqual(['field', '2']);
  });

  it('passes an error of Redis on unchanged', async () => {
    redis = ioredisExecutor(standalone(inject('redisUrl')), { commandTimeout: '5s' });
    await redis.command('SET', `${prefix}:text`, 'x');
    await expect(redis.command('LPUSH', `${prefix}:text`, 'y')).rejects.toThrow(/^WRONGTYPE/);
  });

  it('runs a script that the server knows, does not know, and knows no more', async () => {
    redis = ioredisExecutor(standalone(inject('redisUrl')), { commandTimeout: '5s' });
    const script = { name: 'echo', lua: `return {KEYS[1], ARGV[1], '${prefix}'}` };
    const answer = [`${prefix}:k`, 'v', prefix];
    expect(await redis.script(script, [`${prefix}:k`], ['v'])).toEqual(answer);
    expect(await redis.script(script, [`${prefix}:k`], ['v'])).toEqual(answer);
    await observer.script('FLUSH');
    expect(await redis.script(script, [`${prefix}:k`], ['v'])).toEqual(answer);
  });

  it('scans for a literal prefix, whatever characters it holds', async () => {
    redis = ioredisExecutor(standalone(inject('redisUrl')), { commandTimeout: '5s' });
    const odd = `${prefix}:a*b?[c]\\^-:`;
    const wanted = Array.from({ length: 700 }, (_, index) => `${odd}${index}`);
    await observer.mset(...wanted.flatMap((key) => [key, '1']));
    await observer.mset(`${prefix}:aXbY`, '1', `${prefix}:a*b?c\\^-:1`, '1');
    const found = new Set<string>();
    for await (const keys of redis.scan(odd)) for (const key of keys) found.add(key);
    expect([...found].sort()).toEqual(wanted.sort());
  });

  it('refuses options that it does not know and clients whose prefix scripts cannot see', async () => {
    redis = ioredisExecutor(standalone(inject('redisUrl')), { commandTimeout: '5s' });
    const client = standalone(inject('redisUrl'));
    const wrong = [{ commandTimeOut: 1 }, { commandTimeout: 0 }, { commandTimeout: '1 hour' }];
    for (const options of wrong as object[]) {
      expect(() => ioredisExecutor(client, options)).toThrow(
        expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
      );
    }
    for (const none of [undefined, {}, 'redis://127.0.0.1', { options: {}, duplicate: () => {} }]) {
      expect(() => ioredisExecutor(none as never)).toThrow(
        expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
      );
    }
    const prefixed = new Redis({ keyPrefix: 'app:', lazyConnect: true });
    expect(() => ioredisExecutor(prefixed)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
    );
  });
});

describe.each(ioredis)('connections over $name', ({ standalone }) => {
  it('connects nothing before the first use, and closes all that it opened but not the client (RC-1)', async () => {
    const server = await startRedis({ own: true });
    const observer = observe(server.url);
    await observer.ping();
    const client = standalone(server.url);
    const redis = ioredisExecutor(client, { commandTimeout: '5s' });
    const subscriber = redis.subscriber();
    try {
      expect(await connections(observer)).toBe(0);
      await redis.command('PING');
      expect(await connections(observer)).toBe(1);
      await subscriber.subscribe('channel', () => {});
      expect(await connections(observer)).toBe(2);
      expect(client.status).toBe('wait');
      await client.connect();
      await redis.close();
      await eventually(() => connections(observer)).toBe(1);
      expect(await client.call('PING')).toBe('PONG');
      await expect(redis.command('PING')).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE', sent: false });
      await expect(subscriber.subscribe('channel', () => {})).rejects.toMatchObject({ sent: false });
    } finally {
      client.disconnect();
      observer.disconnect();
      await server.stop();
    }
  });
});
