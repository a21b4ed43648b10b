import { createCache, defineKeys, resource } from '@cachekit/core';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, inject, it, vi } from 'vitest';
import { redisFromEnv } from '../../src/env/index.ts';
import { redisTier } from '../../src/index.ts';
import { startUpstashServer } from '../../src/testing/index.ts';

const names = ['UPSTASH_REDIS_REST_URL', 'UPSTASH_REDIS_REST_TOKEN', 'REDIS_URL'];

describe('redisFromEnv()', () => {
  afterEach(() => vi.unstubAllEnvs());

  it('PBX-5 the same program runs over Upstash, over REDIS_URL and over nothing, by the environment alone', async () => {
    const server = await startUpstashServer({ redis: new Redis(inject('redisUrl'), { lazyConnect: true }) });
    const environments: [string, Record<string, string>][] = [
      ['log', { UPSTASH_REDIS_REST_URL: server.url, UPSTASH_REDIS_REST_TOKEN: server.token }],
      ['tracking', { REDIS_URL: inject('redisUrl') }],
      ['nothing', {}],
    ];
    try {
      for (const [expected, set] of environments) {
        for (const name of names) vi.stubEnv(name, set[name] ?? '');
        const namespace = uniqueNamespace();
        const redis = await redisFromEnv();
        const remote = redis === undefined ? undefined : redisTier({ redis, namespace });
        expect(remote?.coherence.mode ?? 'nothing').toBe(expected);
        const cache = createCache(remote === undefined ? { namespace } : { namespace, remote });
        const keys = defineKeys({
          namespace,
          scope: 'tenant',
          resources: { total: resource<{ calls: number }>({ ttl: '1m', tags: ['calls'] }) },
        });
        const read = (calls: number): Promise<{ calls: number }> =>
          cache.getOrLoad(keys.total({ tenant: 'acme' }), async () => ({ calls }));
        expect(await read(1)).toEqual({ calls: 1 });
        expect(await read(2)).toEqual({ calls: 1 });
        await cache.invalidateTags(keys.tag('acme', 'calls'));
        expect(await read(3)).toEqual({ calls: 3 });
        await cache.close();
        await redis?.close();
      }
    } finally {
      await server.close();
    }
  });

  it('takes Upstash before REDIS_URL, and REDIS_URL where Upstash is only half there', async () => {
    const rest = { UPSTASH_REDIS_REST_URL: 'https://x.upstash.io', UPSTASH_REDIS_REST_TOKEN: 't' };
    const url = { REDIS_URL: 'redis://127.0.0.1:1' };
    const canSubscribe = async (env: Record<string, string>): Promise<boolean | undefined> =>
      (await redisFromEnv({ env }))?.capabilities.subscribe;
    expect(await canSubscribe({ ...rest, ...url })).toBe(false);
    expect(await canSubscribe({ UPSTASH_REDIS_REST_URL: rest.UPSTASH_REDIS_REST_URL, ...url })).toBe(true);
    expect(await canSubscribe({ REDIS_URL: '', UPSTASH_REDIS_REST_URL: ' ' })).toBeUndefined();
  });

  it('takes no notice of blanks around an address, as a file may have them', async () => {
    const redis = await redisFromEnv({ env: { REDIS_URL: ` ${inject('redisUrl')} \n` } });
    expect(await redis?.command('PING')).toBe('PONG');
    await redis?.close();
  });

  it('gives calls the time that is asked for, over either', async () => {
    const queue = uniqueNamespace();
    const connected = await redisFromEnv({ env: { REDIS_URL: inject('redisUrl') }, commandTimeout: 60 });
    await expect(connected?.command('BLPOP', queue, 1)).rejects.toThrow('within 60 ms');
    await connected?.close();
    const server = await startUpstashServer({ redis: new Redis(inject('redisUrl'), { lazyConnect: true }) });
    try {
      const env = { UPSTASH_REDIS_REST_URL: server.url, UPSTASH_REDIS_REST_TOKEN: server.token };
      const rest = await redisFromEnv({ env, commandTimeout: 60 });
      await expect(rest?.command('BLPOP', queue, 1)).rejects.toThrow(/within 60 ms|no reply in time/);
      await rest?.close();
    } finally {
      await server.close();
    }
    await expect(redisFromEnv({ env: {}, commandTimeout: 0 })).rejects.toThrow('commandTimeout');
  });

  it('refuses what is half set or no URL, and never says the password', async () => {
    const wrong: Record<string, string>[] = [
      { UPSTASH_REDIS_REST_URL: 'https://x.upstash.io' },
      { UPSTASH_REDIS_REST_TOKEN: 't' },
      { REDIS_URL: 'localhost:6379' },
      { REDIS_URL: 'https://:hunter2@redis' },
      { REDIS_URL: 'redis://:hunter2%zz@localhost:6379' },
      { UPSTASH_REDIS_REST_URL: 'redis://:hunter2@x', UPSTASH_REDIS_REST_TOKEN: 'hunter2' },
    ];
    for (const env of wrong) {
      const failure = await redisFromEnv({ env }).catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: 'INVALID_CONFIGURATION' });
      expect(String(failure)).not.toContain('hunter2');
    }
    await expect(redisFromEnv({ environment: {} } as never)).rejects.toMatchObject({
      code: 'INVALID_CONFIGURATION',
    });
  });
});
