import { startRedis } from '@cachekit/services';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLocks, createPresence, createSessions, ioredisExecutor } from '../../src/index.ts';
import { ioredis, observe } from './clients.ts';
import { eventually } from './eventually.ts';

const [client] = ioredis as [(typeof ioredis)[0] & object];

describe('a Redis that has no memory left and evicts nothing', () => {
  let server: Awaited<ReturnType<typeof startRedis>>;
  let observer: ReturnType<typeof observe>;
  let redis: ReturnType<typeof ioredisExecutor>;
  beforeAll(async () => {
    server = await startRedis({ own: true });
    observer = observe(server.url);
    redis = ioredisExecutor(client.standalone(server.url), { commandTimeout: '5s' });
  });
  afterAll(async () => {
    observer.disconnect();
    await redis.close();
    await server.stop();
  });
  const fill = () => observer.config('SET', 'maxmemory', '1');
  const empty = () => observer.config('SET', 'maxmemory', '0');

  it('still reads, prolongs, rotates and ends sessions, and begins none', async () => {
    const sessions = createSessions<number>({ redis, idleTtl: 2_000, maxLifetime: '1h' });
    const { id, lastSeenAt } = await sessions.create('acme', { user: '7', data: 1 });
    await fill();
    // A use is written once per tenth of idleTtl.
    await eventually(async () => (await sessions.get(id))?.lastSeenAt.getTime()).toBeGreaterThan(
      lastSeenAt.getTime(),
    );
    await expect(sessions.create('acme', { user: '8', data: 1 })).rejects.toThrow('OOM');
    await expect(sessions.save(id, 2, 1)).rejects.toThrow('OOM');
    const rotated = await sessions.rotate(id);
    expect(await sessions.get(rotated?.id as string)).toMatchObject({ data: 1 });
    expect(await sessions.end(id)).toBe(true);
    expect(await sessions.get(rotated?.id as string)).toBeUndefined();
    await empty();
  });

  it('still holds, renews and gives locks back, and gives none away', async () => {
    const locks = createLocks({ redis });
    const lease = await locks.lock('a', { ttl: '60s' });
    await fill();
    await expect(locks.lock('b', { ttl: '60s' })).rejects.toThrow('OOM');
    await lease?.extend();
    expect(lease?.signal.aborted).toBe(false);
    expect(await lease?.release()).toBe('released');
    await empty();
    await locks.close();
  });

  it('still knows who is online, until they leave or their process dies, and nobody comes', async () => {
    const gone = ioredisExecutor(client.standalone(server.url));
    const [presence, dying] = [redis, gone].map((over) =>
      createPresence({ redis: over, ttl: 1_500, lease: 900 }),
    ) as [ReturnType<typeof createPresence>, ReturnType<typeof createPresence>];
    const told: string[] = [];
    presence.onChange(({ type, member }) => told.push(`${type} ${member}`));
    const held = await presence.hold('acme', 'ann');
    await presence.seen('acme', 'cid');
    await dying.hold('acme', 'bob');
    await fill();
    await expect(presence.hold('acme', 'eve')).rejects.toThrow('OOM');
    const began = Date.now();
    await eventually(async () => {
      expect(await presence.seen('acme', 'cid')).toBe(false);
      expect([...(await presence.online('acme'))].sort()).toEqual(['ann', 'bob', 'cid']);
      return Date.now() - began;
    }).toBeGreaterThan(3_000);
    expect(told).toEqual(['join ann', 'join cid']);
    await gone.close();
    await eventually(() => told).toEqual(['join ann', 'join cid', 'leave bob']);
    expect(await held.leave()).toBe(true);
    expect(await presence.online('acme')).toEqual(['cid']);
    await empty();
    await presence.close();
    await dying.close();
  });
});
