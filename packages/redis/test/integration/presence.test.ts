import { type RedisExecutor, tenantPrefix } from '@cachekit/core';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { createPresence, ioredisExecutor, type Presence } from '../../src/index.ts';
import { ioredis, type Observer, observe } from './clients.ts';
import { eventually } from './eventually.ts';

const fiveMinutes = 300_000;

describe.each(ioredis)('presence over $name', ({ standalone }) => {
  let redis: RedisExecutor;
  let observer: Observer;
  let namespace: string;
  let presence: Presence;

  beforeAll(() => {
    redis = ioredisExecutor(standalone(inject('redisUrl')), { commandTimeout: '5s' });
    observer = observe(inject('redisUrl'));
  });
  beforeEach(() => {
    namespace = uniqueNamespace();
    presence = createPresence({ redis, namespace, ttl: '5m' });
  });
  afterAll(async () => {
    observer.disconnect();
    await redis.close();
  });

  const keyOf = (tenant: string): string => `${tenantPrefix(namespace, 'p', tenant)}online`;
  /** As if the member had been seen that much longer ago. */
  const age = (tenant: string, member: string, ms: number): Promise<unknown> =>
    observer.zincrby(keyOf(tenant), -ms, member);

  it('knows who was seen, who came and who left', async () => {
    expect(await presence.online('user-1')).toEqual([]);
    expect(await presence.seen('user-1', 'phone')).toBe(true);
    expect(await presence.seen('user-1', 'desk')).toBe(true);
    expect(await presence.seen('user-1', 'phone')).toBe(false);
    expect([...(await presence.online('user-1'))].sort()).toEqual(['desk', 'phone']);
    expect(await presence.leave('user-1', 'desk')).toBe(true);
    expect(await presence.leave('user-1', 'desk')).toBe(false);
    expect(await presence.online('user-1')).toEqual(['phone']);
  });

  it('a device not seen for 5 minutes drops out by itself, also while others stay online (PBX-12)', async () => {
    await presence.seen('user-1', 'silent');
    await presence.seen('user-1', 'alive');
    await age('user-1', 'silent', fiveMinutes - 30_000);
    expect(await presence.online('user-1')).toEqual(['silent', 'alive']);
    await age('user-1', 'silent', 30_000);
    expect(await presence.online('user-1')).toEqual(['alive']);
    await presence.seen('user-1', 'alive');
    expect(await observer.zcard(keyOf('user-1'))).toBe(1);
    expect(await presence.seen('user-1', 'silent')).toBe(true);
  });

  it('a short stay ends without anybody doing anything (PBX-12)', async () => {
    const short = createPresence({ redis, namespace, ttl: 100 });
    await short.seen('user-1', 'phone');
    await eventually(() => short.online('user-1')).toEqual([]);
    await eventually(() => observer.exists(keyOf('user-1'))).toBe(0);
  });

  it('the set of a tenant expires with its last member, and not before', async () => {
    await presence.seen('user-1', 'phone');
    expect(await observer.pttl(keyOf('user-1'))).toBeGreaterThan(fiveMinutes - 30_000);
    await createPresence({ redis, namespace, ttl: '1s' }).seen('user-1', 'desk');
    expect(await observer.pttl(keyOf('user-1'))).toBeGreaterThan(fiveMinutes - 30_000);
  });

  it('keeps tenants apart, whatever their ids hold', async () => {
    const tenants = ['a', 'a:b', 'a}', '{a', '*', 'a\n', 'ü'];
    await Promise.all(tenants.map((tenant) => presence.seen(tenant, `member of ${tenant}`)));
    for (const tenant of tenants) expect(await presence.online(tenant)).toEqual([`member of ${tenant}`]);
  });

  it('refuses tenants, members and options that are none', async () => {
    for (const tenant of ['', 'x'.repeat(129), undefined]) {
      await expect(presence.online(tenant as string)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    for (const member of ['', 'x'.repeat(257), undefined]) {
      await expect(presence.seen('a', member as string)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    for (const options of [
      { redis },
      { redis, ttl: 0 },
      { redis, ttl: '5 min' },
      { redis, ttl: 1, tll: 2 },
    ]) {
      expect(() => createPresence(options as never)).toThrow(
        expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
      );
    }
  });
});
