import type { RedisExecutor } from '@cachekit/core';
import { ioredisExecutor } from '@cachekit/redis';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { Redis } from 'ioredis';
import { afterAll, afterEach, describe, expect, inject, it } from 'vitest';
import { createRedisLog, type EventLog, type RedisLogOptions } from '../../src/index.ts';
import { eventLogSuite } from '../log-suite.ts';

const client = new Redis(inject('redisUrl'), { lazyConnect: true });
const executors: RedisExecutor[] = [];
const logs: EventLog[] = [];

function executor(): RedisExecutor {
  const redis = ioredisExecutor(client, { commandTimeout: '10s' });
  executors.push(redis);
  return redis;
}

function newLog(options: Partial<RedisLogOptions> = {}): EventLog {
  const log = createRedisLog({ redis: executor(), ...options });
  logs.push(log);
  return log;
}

afterEach(async () => {
  await Promise.all(logs.splice(0).map((log) => log.close()));
  await Promise.all(executors.splice(0).map((redis) => redis.close()));
});

afterAll(() => client.disconnect());

eventLogSuite('createRedisLog()', async ({ length }) => {
  const namespace = uniqueNamespace();
  return () => newLog({ namespace, length });
});

const record = (n: number, origin?: string) => ({ type: 't', body: `{"data":${n}}`, origin });

describe('createRedisLog()', () => {
  it('uses keys of one slot and one prefix per tenant, which no tenant id can leave, and every key expires', async () => {
    const namespace = uniqueNamespace();
    const log = newLog({ namespace, keep: '1h' });
    for (const tenant of ['a', 'a}:x', '*', 'a\nb']) await log.append(tenant, [record(1, 's:1')]);
    const keys = await client.keys(`${namespace}:*`);
    expect(keys).toHaveLength(4 * 3);
    for (const key of keys) {
      expect(key).toMatch(new RegExp(`^${namespace}:e:tenant:\\{[A-Za-z0-9%]+\\}:(meta|log|seen)$`));
      const ttl = await client.pttl(key);
      expect(ttl).toBeGreaterThan(3_500_000);
      expect(ttl).toBeLessThanOrEqual(3_600_000);
    }
  });

  it('connects to nothing before the first use', async () => {
    const redis = ioredisExecutor(new Redis('redis://127.0.0.1:1', { lazyConnect: true }));
    const log = createRedisLog({ redis });
    await log.close();
    await redis.close();
  });

  it('begins anew when it finds fewer events than it knows of, so that no number stands for two events', async () => {
    const namespace = uniqueNamespace();
    const log = newLog({ namespace });
    const { position } = await log.append('a', [record(1), record(2), record(3)]);
    // What a failover to a replica that was behind looks like.
    await client.hset(`${namespace}:e:tenant:{a}:meta`, 'offset', 1);
    const after = await log.append('a', [record(4)]);
    expect(after.position).toMatchObject({ offset: 1 });
    expect(after.position.epoch).not.toBe(position.epoch);
    expect(await log.readAfter('a', position, 10)).toMatchObject({ state: 'gap', reason: 'epoch' });
    expect(await log.append('a', [record(5)])).toMatchObject({
      position: { epoch: after.position.epoch, offset: 2 },
    });
  });

  it('begins anew also where only others had appended what was lost, if it was heard', async () => {
    const namespace = uniqueNamespace();
    const [dead, log] = [newLog({ namespace }), newLog({ namespace })];
    const heard: number[] = [];
    await log.follow('a', { appended: ({ first }) => heard.push(first), restored: () => {} });
    await log.append('a', [record(1)]);
    const { position } = await dead.append('a', [record(2), record(3)]);
    await expect.poll(() => heard).toContain(2);
    await client.hset(`${namespace}:e:tenant:{a}:meta`, 'offset', 1);
    await client.xdel(`${namespace}:e:tenant:{a}:log`, '2-0', '3-0');
    await client.call('XSETID', `${namespace}:e:tenant:{a}:log`, '1-0');
    const after = await log.append('a', [record(4), record(5)]);
    expect(after.position).toMatchObject({ offset: 2 });
    expect(after.position.epoch).not.toBe(position.epoch);
  });

  it('has another epoch when a part of it was evicted, and never rows of two logs', async () => {
    const namespace = uniqueNamespace();
    const log = newLog({ namespace });
    const { position } = await log.append('a', [record(1, 's:1')]);
    await client.del(`${namespace}:e:tenant:{a}:meta`);
    expect(await log.readAfter('a', position, 10)).toMatchObject({ state: 'gap', reason: 'epoch' });
    const again = await log.append('a', [record(1, 's:1')]);
    expect(again).toMatchObject({ appended: 1, position: { offset: 1 } });
    await log.append('a', [record(2)]);
    await client.del(`${namespace}:e:tenant:{a}:log`);
    expect(await log.readAfter('a', again.position, 10)).toMatchObject({ state: 'gap', reason: 'trimmed' });
  });

  it('forgets a tenant whose log has expired, unless somebody uses it meanwhile', async () => {
    const namespace = uniqueNamespace();
    const index = `${namespace}:e:global:tenants`;
    const log = newLog({ namespace, keep: '1h' });
    await log.position('gone');
    await log.position('used');
    await client.zadd(index, '1000', 'gone', '1000', 'used');
    await client.del(`${namespace}:e:tenant:{gone}:meta`);
    const tenants: string[] = [];
    for await (const some of log.tenants()) tenants.push(...some);
    expect(tenants).toEqual(['used']);
    expect(await client.zrange(index, '0', '-1')).toEqual(['used']);
  });

  it.each([
    [{ redis: undefined as never }],
    [{ length: 0 }],
    [{ keep: 0 }],
    [{ namespace: 'a:b' }],
    [{ maxlen: 3 } as never],
  ])('refuses the options %#', (options) => {
    expect(() => createRedisLog({ redis: executor(), ...options })).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
    );
  });
});
