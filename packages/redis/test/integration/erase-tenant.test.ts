import {
  createCache,
  defineKeys,
  type KeyKind,
  type RedisExecutor,
  resource,
  tenantPrefix,
} from '@cachekit/core';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { expect, it } from 'vitest';
import { createCounters, createLists, createPresence, createSessions, redisTier } from '../../src/index.ts';
import { onEveryServer } from './on-every-server.ts';

const kinds: readonly KeyKind[] = ['c', 'l', 'e', 's', 'p', 'k', 'n'];

onEveryServer('eraseTenant()', (open, _server, wakeUp) => {
  it('leaves no key of any kind of the tenant, and every key of the others', async () => {
    const redis = open();
    const namespace = uniqueNamespace();
    const keys = defineKeys({
      namespace,
      scope: 'tenant',
      resources: { call: resource<number, { id: number }>({ ttl: '1h', tags: ({ id }) => [`call ${id}`] }) },
    });
    const cache = createCache({ namespace, remote: redisTier({ redis, namespace }) });
    const presence = createPresence({ redis, namespace, ttl: '1h', wakeUp });
    const sessions = createSessions<number>({ redis, namespace, idleTtl: '1h', maxLifetime: '1d' });
    const counters = createCounters({ redis, namespace, window: '1h' });
    const lists = createLists<number>({ redis, namespace, ttl: '1h' });
    const tenants = ['acme', 'acme2', 'acm*', 'other'];
    for (const tenant of tenants) {
      for (let id = 0; id < 20; id++) await cache.set(keys.call({ tenant, id }), id);
      await presence.seen(tenant, 'ann', { device: 'phone' });
      await sessions.create(tenant, { user: '7', data: 1 });
      await counters.add(tenant, 'calls');
      await lists.append(tenant, 'last', 1);
      // Of packages that this one does not know, by the scheme that they share.
      await redis.command('SET', `${tenantPrefix(namespace, 'k', tenant)}report`, 'x');
      await redis.command('SET', `${tenantPrefix(namespace, 'l', tenant)}api`, '1');
      await redis.command('XADD', `${tenantPrefix(namespace, 'e', tenant)}log`, '*', 'type', 'call.ended');
    }
    const before = await everyKey(redis, namespace);
    const { removed, unreached } = await cache.eraseTenant('acme');
    expect(unreached).toEqual([]);
    for (const kind of kinds) expect(removed[kind], kind).toBeGreaterThan(0);
    const after = await everyKey(redis, namespace);
    expect(after.filter((key) => key.includes('{acme}'))).toEqual([]);
    expect(after.filter((key) => !key.includes('{acme}'))).toEqual(
      before.filter((key) => !key.includes('{acme}')),
    );
    expect(await cache.getOrLoad(keys.call({ tenant: 'acme', id: 1 }), async () => -1)).toBe(-1);
    expect(await cache.getOrLoad(keys.call({ tenant: 'acme2', id: 1 }), async () => -1)).toBe(1);
    await Promise.all([cache.close(), presence.close()]);
  });
});

async function everyKey(redis: RedisExecutor, namespace: string): Promise<string[]> {
  const found = new Set<string>();
  for await (const page of redis.scan(`${namespace}:`)) for (const key of page) found.add(key);
  return [...found].sort();
}
