import { type RedisExecutor, tenantPrefix } from '@cachekit/core';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { beforeEach, describe, expect, inject, it } from 'vitest';
import { createSessions, ioredisExecutor, type Sessions, type SessionsOptions } from '../../src/index.ts';
import { ioredis } from './clients.ts';
import { eventually } from './eventually.ts';
import { onEveryServer } from './on-every-server.ts';

interface Data {
  readonly name?: string;
  readonly count: number;
}

const minute = 60_000;

onEveryServer('createSessions()', (open) => {
  let redis: RedisExecutor;
  let namespace: string;
  let sessions: Sessions<Data>;

  beforeEach(() => {
    redis = open();
    namespace = uniqueNamespace();
    sessions = make();
  });

  const make = (options: Partial<SessionsOptions> = {}): Sessions<Data> =>
    createSessions<Data>({ redis, namespace, idleTtl: '30m', maxLifetime: '30d', ...options });
  const keyOf = (handle: string): string => `${tenantPrefix(namespace, 's', 'acme')}session:${handle}`;

  async function everything(): Promise<string> {
    const texts: string[] = [];
    for await (const page of redis.scan(`${namespace}:`)) {
      for (const key of page) {
        const type = await redis.command('TYPE', key);
        const content =
          type === 'hash' ? await redis.command('HGETALL', key) : await redis.command('ZRANGE', key, 0, -1);
        texts.push(key, JSON.stringify(content));
      }
    }
    return texts.join('\n');
  }

  it('a session is begun, read, changed and ended', async () => {
    const created = await sessions.create('acme', { user: '7', data: { count: 1 } });
    expect(created).toMatchObject({ tenant: 'acme', user: '7', data: { count: 1 }, version: 1 });
    expect(await sessions.get(created.id)).toMatchObject({ handle: created.handle, data: { count: 1 } });
    const changed = await sessions.update(created.id, ({ count }) => ({ count: count + 1 }));
    expect(changed).toMatchObject({ data: { count: 2 }, version: 2 });
    expect(await sessions.get(created.id)).toMatchObject({ data: { count: 2 }, version: 2 });
    expect(await sessions.end(created.id)).toBe(true);
    expect(await sessions.end(created.id)).toBe(false);
    expect(await sessions.get(created.id)).toBeUndefined();
  });

  it('a late save does not bring a session back that has ended', async () => {
    const { id, version } = await sessions.create('acme', { user: '7', data: { count: 1 } });
    const late = sessions.update(id, async (data) => {
      await sessions.end(id);
      return { ...data, name: 'late' };
    });
    expect(await late).toBeUndefined();
    expect(await sessions.save(id, { count: 9 }, version)).toBe('ended');
    expect(await sessions.get(id)).toBeUndefined();
    expect(await sessions.list('acme', '7')).toEqual([]);
  });

  it('no change is lost, however many change it at the same time', async () => {
    const { id } = await sessions.create('acme', { user: '7', data: { count: 0 } });
    await Promise.all(
      Array.from({ length: 20 }, () => sessions.update(id, ({ count }) => ({ count: count + 1 }))),
    );
    expect((await sessions.get(id))?.data.count).toBe(20);
  });

  it('a save with an old version is a conflict and changes nothing', async () => {
    const { id, version } = await sessions.create('acme', { user: '7', data: { count: 0 } });
    expect(await sessions.save(id, { count: 1 }, version)).toBe('saved');
    expect(await sessions.save(id, { count: 5 }, version)).toBe('conflict');
    expect((await sessions.get(id))?.data.count).toBe(1);
  });

  it('use prolongs it, but never beyond its whole life', async () => {
    sessions = make({ idleTtl: 30 * minute, maxLifetime: 40 * minute });
    const { id, handle, createdAt } = await sessions.create('acme', { user: '7', data: { count: 0 } });
    const key = keyOf(handle);
    const seenBefore = (ms: number): Promise<unknown> =>
      redis.command('HSET', key, 's', createdAt.getTime() - ms);
    await redis.command('PEXPIRE', key, 5 * minute);
    await seenBefore(25 * minute);
    expect((await sessions.list('acme', '7'))[0]?.expiresAt.getTime()).toBeLessThan(
      createdAt.getTime() + 6 * minute,
    );
    expect((await sessions.get(id))?.expiresAt.getTime()).toBeGreaterThan(createdAt.getTime() + 29 * minute);
    await redis.command('HSET', key, 'e', createdAt.getTime() + 7 * minute);
    await seenBefore(25 * minute);
    expect((await sessions.get(id))?.expiresAt.getTime()).toBeLessThanOrEqual(
      createdAt.getTime() + 7 * minute,
    );
    await redis.command('HSET', key, 'e', createdAt.getTime() - 1);
    expect(await sessions.get(id)).toBeUndefined();
    expect(await sessions.update(id, (data) => data)).toBeUndefined();
    expect(await sessions.rotate(id)).toBeUndefined();
  });

  it('a short life ends by itself, and with it everything that was stored', async () => {
    sessions = make({ idleTtl: 100, maxLifetime: 300 });
    const { id } = await sessions.create('acme', { user: '7', data: { count: 0 } });
    await eventually(() => sessions.list('acme', '7')).toEqual([]);
    expect(await sessions.get(id)).toBeUndefined();
    await eventually(everything).toBe('');
  });

  it('the list of a user forgets those that were not used for too long, though nobody looks at it', async () => {
    const index = keyOf('').replace(/session:$/, 'user:7');
    const begin = () => sessions.create('acme', { user: '7', data: { count: 0 } });
    const unused = await Promise.all(Array.from({ length: 60 }, begin));
    await Promise.all(unused.map(({ handle }) => redis.command('DEL', keyOf(handle))));
    expect(await redis.command('ZCARD', index)).toBe(60);
    for (let i = 0; i < 4; i++) await begin();
    expect(await redis.command('ZCARD', index)).toBe(4);
    expect(await sessions.list('acme', '7')).toHaveLength(4);
  });

  it('a use is written only once per tenth of the idle time', async () => {
    const { id, handle } = await sessions.create('acme', { user: '7', data: { count: 0 } });
    const seen = (): Promise<unknown> => redis.command('HGET', keyOf(handle), 's');
    const before = await seen();
    await sessions.get(id);
    expect(await seen()).toBe(before);
    await redis.command('HSET', keyOf(handle), 's', Number(before) - 4 * minute);
    await sessions.get(id);
    expect(Number(await seen())).toBeGreaterThanOrEqual(Number(before));
  });

  it('Redis holds no id, only what it hashes to', async () => {
    const { id, handle } = await sessions.create('acme', { user: '7', data: { count: 0 } });
    const secret = id.slice(id.lastIndexOf('.') + 1);
    const stored = await everything();
    expect(stored).toContain(handle);
    expect(stored).not.toContain(secret);
    expect(await sessions.get(`acme.${handle}`)).toBeUndefined();
  });

  it('a new id takes the place of the old one, with everything the session had', async () => {
    const { id, handle } = await sessions.create('acme', { user: '7', data: { count: 3 } });
    const rotated = await sessions.rotate(id);
    expect(rotated).toMatchObject({ user: '7', data: { count: 3 }, version: 1 });
    expect(rotated?.id).not.toBe(id);
    expect(await sessions.get(id)).toBeUndefined();
    expect(await sessions.save(id, { count: 4 }, 1)).toBe('ended');
    expect(await sessions.get(rotated?.id as string)).toMatchObject({ data: { count: 3 } });
    const listed = await sessions.list('acme', '7');
    expect(listed.map((session) => session.handle)).toEqual([rotated?.handle]);
    expect(listed[0]?.handle).not.toBe(handle);
    expect(await sessions.rotate(id)).toBeUndefined();
  });

  it('of two who rotate an id at the same moment one gets the session, the other hears that the id has ended', async () => {
    const { id } = await sessions.create('acme', { user: '7', data: { count: 3 } });
    const both = await Promise.all([sessions.rotate(id), sessions.rotate(id)]);
    const [won, ...others] = both.filter((rotated) => rotated !== undefined);
    expect(others).toEqual([]);
    expect((await sessions.list('acme', '7')).map(({ handle }) => handle)).toEqual([won?.handle]);
    expect(await sessions.get(won?.id as string)).toMatchObject({ data: { count: 3 } });
  });

  it('a logout by an id that has just been rotated ends the session, and lets nobody in', async () => {
    for (const ends of ['end', 'endByHandle'] as const) {
      const first = await sessions.create('acme', { user: '7', data: { count: 0 } });
      const second = await sessions.rotate(first.id);
      const third = await sessions.rotate(second?.id as string);
      for (const { id } of [first, second as { id: string }]) {
        expect(await sessions.get(id)).toBeUndefined();
        expect(await sessions.update(id, (data) => data)).toBeUndefined();
        expect(await sessions.rotate(id)).toBeUndefined();
      }
      const end = (): Promise<boolean> =>
        ends === 'end' ? sessions.end(first.id) : sessions.endByHandle('acme', '7', first.handle);
      expect(await sessions.endByHandle('acme', '8', first.handle)).toBe(false);
      await expect(sessions.endByHandle('acme', '', first.handle)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
      expect(await sessions.get(third?.id as string)).toBeDefined();
      expect(await end()).toBe(true);
      expect(await sessions.get(third?.id as string)).toBeUndefined();
      expect(await sessions.list('acme', '7')).toEqual([]);
      expect(await end()).toBe(false);
    }
  });

  it('what says where a session went lives a minute at most, and is no session', async () => {
    const { id, handle } = await sessions.create('acme', { user: '7', data: { count: 0 } });
    const rotated = await sessions.rotate(id);
    const left = Number(await redis.command('PTTL', keyOf(handle)));
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(minute);
    expect(await sessions.endAll('acme', '7')).toBe(1);
    expect(await sessions.end(id)).toBe(false);
    expect(await sessions.get(rotated?.id as string)).toBeUndefined();
    const short = make({ idleTtl: 100, maxLifetime: 300 });
    await short.rotate((await short.create('acme', { user: '8', data: { count: 0 } })).id);
    await redis.command('DEL', keyOf(handle));
    await eventually(everything).toBe('');
  });

  it('a logout during which the id is rotated leaves no session behind', async () => {
    const { id } = await sessions.create('acme', { user: '7', data: { count: 0 } });
    const rotated: string[] = [];
    const rotatedBefore: RedisExecutor = {
      capabilities: redis.capabilities,
      command: (name, ...args) => redis.command(name, ...args),
      async script(script, keys, args) {
        if (script.name === 'session-end' && rotated.length < 3) {
          const next = await sessions.rotate(rotated.at(-1) ?? id);
          if (next !== undefined) rotated.push(next.id);
        }
        return redis.script(script, keys, args);
      },
      scan: (prefix) => redis.scan(prefix),
      subscriber: () => redis.subscriber(),
      close: async () => {},
    };
    const logout = make({ redis: rotatedBefore }).end(id);
    await expect(logout).resolves.toBe(true);
    expect(rotated).toHaveLength(3);
    expect(await sessions.list('acme', '7')).toEqual([]);
  });

  it('all sessions of a user are listed and ended, those of others stay', async () => {
    const phone = await sessions.create('acme', { user: '7', data: { name: 'phone', count: 0 } });
    const desk = await sessions.create('acme', { user: '7', data: { name: 'desk', count: 0 } });
    const gone = await sessions.create('acme', { user: '7', data: { name: 'gone', count: 0 } });
    const other = await sessions.create('acme', { user: '8', data: { name: 'other', count: 0 } });
    const tenant = await sessions.create('umbrella', { user: '7', data: { name: 'tenant', count: 0 } });
    await sessions.end(gone.id);
    const names = async (): Promise<unknown[]> =>
      (await sessions.list('acme', '7')).map(({ data }) => data.name).sort();
    expect(await names()).toEqual(['desk', 'phone']);
    expect(await sessions.endByHandle('acme', '7', other.handle)).toBe(false);
    expect(await sessions.endAll('acme', '7', { except: phone.id })).toBe(1);
    expect(await names()).toEqual(['phone']);
    expect(await sessions.get(desk.id)).toBeUndefined();
    expect(await sessions.endByHandle('acme', '7', phone.handle)).toBe(true);
    expect(await sessions.get(phone.id)).toBeUndefined();
    expect(await sessions.get(other.id)).toBeDefined();
    expect(await sessions.get(tenant.id)).toBeDefined();
  });

  it('whoever has hundreds of sessions gets rid of all of them, also while ids are rotated', async () => {
    const created = await Promise.all(
      Array.from({ length: 250 }, (_, count) => sessions.create('acme', { user: '7', data: { count } })),
    );
    expect(await sessions.list('acme', '7')).toHaveLength(250);
    const [first] = created;
    const [ended, rotated] = await Promise.all([
      sessions.endAll('acme', '7'),
      sessions.rotate((first as { id: string }).id),
    ]);
    expect(ended).toBeGreaterThanOrEqual(249);
    if (rotated !== undefined) await sessions.end(rotated.id);
    expect(await sessions.list('acme', '7')).toEqual([]);
  });

  it('what stands in Redis and is no session counts as none', async () => {
    const { id, handle } = await sessions.create('acme', { user: '7', data: { count: 0 } });
    for (const spoil of [
      () => redis.command('HSET', keyOf(handle), 'd', '{"cou'),
      () => redis.command('HSET', keyOf(handle), 'v', 'x'),
      () => redis.command('HDEL', keyOf(handle), 'e'),
      async () => {
        await redis.command('DEL', keyOf(handle));
        await redis.command('SET', keyOf(handle), 'text', 'PX', minute);
      },
    ]) {
      await spoil();
      expect(await sessions.get(id)).toBeUndefined();
      expect(await sessions.list('acme', '7')).toEqual([]);
    }
  });

  it('an id that was never given out is unknown, whatever it holds', async () => {
    const { id } = await sessions.create('acme', { user: '7', data: { count: 0 } });
    for (const wrong of [
      '',
      'x',
      `umbrella.${id.slice(5)}`,
      `${id}x`,
      'acme.',
      `{acme}.${id.slice(5)}`,
      undefined,
      7,
    ]) {
      expect(await sessions.get(wrong as string)).toBeUndefined();
      expect(await sessions.end(wrong as string)).toBe(false);
      expect(await sessions.rotate(wrong as string)).toBeUndefined();
    }
  });

  it('tenants and users may be called anything', async () => {
    for (const tenant of ['a.b', 'a:b', '{a}', 'ü', 'a b', '*']) {
      for (const user of ['x', 'x:y', '{x}', '*', ' ']) {
        const { id } = await sessions.create(tenant, { user, data: { count: 0 } });
        expect(await sessions.get(id)).toMatchObject({ tenant, user });
        expect(await sessions.list(tenant, user)).toHaveLength(1);
      }
    }
  });
});

describe('createSessions()', () => {
  const [client] = ioredis as [(typeof ioredis)[0] & object];

  it('refuses options, users and data that are none, before Redis is asked', async () => {
    const redis = ioredisExecutor(client.standalone(inject('redisUrl')), { commandTimeout: '5s' });
    for (const options of [
      { redis },
      { redis, idleTtl: '1m' },
      { redis, idleTtl: 0, maxLifetime: '1d' },
      { redis, idleTtl: '1m', maxLifetime: '20000d' },
      { redis, idleTtl: '1m', maxLifetime: Number.NaN },
      { redis, idleTtl: '1m', maxLifetime: '1d', ttl: 1 },
    ]) {
      expect(() => createSessions(options as never)).toThrow(
        expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
      );
    }
    const sessions = createSessions<unknown>({ redis, idleTtl: '1m', maxLifetime: '1d' });
    for (const [tenant, user, data] of [
      ['', '7', 1],
      ['acme', '', 1],
      ['acme', undefined, 1],
      ['acme', 'x'.repeat(257), 1],
      ['acme', '7', undefined],
      ['acme', '7', 1n],
    ]) {
      await expect(sessions.create(tenant as string, { user: user as string, data })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
    await redis.close();
  });
});
