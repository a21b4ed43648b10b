import { createCache, defineKeys, resource } from '@cachekit/core';
import { startFaultProxy } from '@cachekit/core/testing';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { describe, expect, inject, it } from 'vitest';
import { ioredisExecutor, redisTier } from '../../src/index.ts';
import { ioredis } from './clients.ts';
import { eventually } from './eventually.ts';

describe.each(ioredis)('over $name', ({ standalone }) => {
  it('a set() that was given up and is carried out later does not stay over what was written meanwhile', async () => {
    const namespace = uniqueNamespace();
    const keys = defineKeys({
      namespace,
      scope: 'tenant',
      resources: { item: resource<number>({ ttl: '1m' }) },
    });
    const key = keys.item({ tenant: 'acme' });
    const proxy = await startFaultProxy({ port: Number(new URL(inject('redisUrl')).port) });
    const slow = ioredisExecutor(standalone(`redis://127.0.0.1:${proxy.port}`), { commandTimeout: 300 });
    const well = ioredisExecutor(standalone(inject('redisUrl')), { commandTimeout: '10s' });
    const late = createCache({ namespace, remote: redisTier({ redis: slow, namespace, coherence: 'ttl' }) });
    const other = createCache({
      namespace,
      memory: false,
      remote: redisTier({ redis: well, namespace, coherence: 'ttl' }),
    });
    try {
      await late.invalidate(key);
      await late.set(key, 1);
      proxy.hang();
      await expect(late.set(key, 2)).rejects.toMatchObject({ code: 'TIER_FAILED' });
      await other.set(key, 3);
      proxy.mend();
      // Until what was held back has come through: calls of one connection are carried out in order.
      await eventually(() => slow.command('PING').catch(String)).toBe('PONG');
      expect(await other.getOrLoad(key, async () => 4)).not.toBe(2);
    } finally {
      await Promise.all([late.close(), other.close()]);
      await Promise.all([slow.close(), well.close()]);
      await proxy.close();
    }
  });
});
