import { createCache, defineKeys, type RemoteEntry, resource } from '@cachekit/core';
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
    const slow = ioredisExecutor(standalone(`redis://127.0.0.1:${proxy.port}`), { commandTimeout: '1s' });
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

  it('a put that arrives when its caller has been told that it failed is not carried out', async () => {
    const namespace = uniqueNamespace();
    const key = `${namespace}:c:tenant:{acme}:item`;
    const entry = (payload: string, clock: number): RemoteEntry => ({
      kind: 'value',
      clock,
      freshUntil: 0,
      version: payload.padEnd(10, 'x'),
      loadMs: 0,
      tags: [],
      codec: 'J',
      payload,
    });
    const proxy = await startFaultProxy({ port: Number(new URL(inject('redisUrl')).port) });
    const slow = ioredisExecutor(standalone(`redis://127.0.0.1:${proxy.port}`), { commandTimeout: '1s' });
    const well = ioredisExecutor(standalone(inject('redisUrl')), { commandTimeout: '10s' });
    const late = redisTier({ redis: slow, namespace, coherence: 'ttl' });
    const other = redisTier({ redis: well, namespace, coherence: 'ttl' });
    try {
      // Whoever is wrong about the time and has an answer is told it, and stores all the same.
      await late.put(key, entry('1', 1), 60_000);
      expect(await other.getMany([key])).toMatchObject([{ entry: { payload: '1' } }]);
      const asked = await other.time();
      proxy.hang();
      await expect(late.put(key, entry('2', asked), 60_000)).rejects.toMatchObject({ sent: true });
      await other.put(key, entry('3', await other.time()), 60_000);
      proxy.mend();
      await eventually(() => slow.command('PING').catch(String)).toBe('PONG');
      expect(await other.getMany([key])).toMatchObject([{ entry: { payload: '3' } }]);
    } finally {
      await Promise.all([late.close(), other.close()]);
      await Promise.all([slow.close(), well.close()]);
      await proxy.close();
    }
  });
});
