import type { RedisExecutor } from '@cachekit/core';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { createPresence, ioredisExecutor, type Presence, type PresenceOptions } from '../../src/index.ts';
import { dueKey, serversKey } from '../../src/presence/presence-keys.ts';
import { refusing } from './dying.ts';
import { eventually } from './eventually.ts';

describe('createPresence() where Redis answers in part', () => {
  let namespace: string;
  let redis: RedisExecutor;
  let opened: Presence[];

  function make(over: RedisExecutor, options: Partial<PresenceOptions> = {}): Presence {
    const presence = createPresence({ redis: over, namespace, ttl: '5m', ...options });
    opened.push(presence);
    return presence;
  }

  async function withoutEnd(): Promise<string[]> {
    const found: string[] = [];
    for await (const page of redis.scan(`${namespace}:`)) {
      for (const key of page) if ((await redis.command('PTTL', key)) === -1) found.push(key);
    }
    return found;
  }

  beforeEach(() => {
    namespace = uniqueNamespace();
    redis = ioredisExecutor(new Redis(inject('redisUrl'), { lazyConnect: true }), { commandTimeout: '10s' });
    opened = [];
  });

  afterEach(async () => {
    await Promise.all(opened.map((presence) => presence.close()));
    await redis.close();
  });

  it('the members of tenants that Redis answers for stay, whichever tenant it does not answer for', async () => {
    let dead = false;
    const holder = make(
      refusing(redis, ({ key }) => dead && key.includes('{dead}')),
      { ttl: 1_500, lease: 900 },
    );
    await holder.hold('dead', 'eve');
    await holder.hold('acme', 'ann');
    dead = true;
    const began = Date.now();
    await eventually(async () => {
      expect(await make(redis).online('acme')).toEqual(['ann']);
      return Date.now() - began;
    }).toBeGreaterThan(3_000);
    dead = false;
    await eventually(() => holder.online('dead')).toEqual(['eve']);
  });

  it('the members stay while the list of the processes does not answer', async () => {
    let dead = false;
    const holder = make(
      refusing(redis, ({ key }) => dead && key === serversKey(namespace)),
      { ttl: 1_500, lease: '1m' },
    );
    await holder.hold('acme', 'ann');
    dead = true;
    const began = Date.now();
    await eventually(async () => {
      expect(await make(redis).online('acme')).toEqual(['ann']);
      return Date.now() - began;
    }).toBeGreaterThan(3_000);
  });

  it('a process that was taken for dead tries until its members are back', async () => {
    let refused: readonly string[] = [];
    const holder = make(
      refusing(redis, ({ name }) => refused.includes(name)),
      { lease: 600 },
    );
    await holder.hold('acme', 'ann');
    const key = serversKey(namespace);
    const names = (): Promise<string[]> => redis.command('ZRANGE', key, 0, -1) as Promise<string[]>;
    const [name] = await names();
    const told: string[] = [];
    make(redis).onChange(({ type, member }) => told.push(`${type} ${member}`));
    refused = ['presence-lease', 'presence-beat'];
    await eventually(() => told).toEqual(['leave ann']);
    await eventually(names).toEqual([]);
    // It learns that it was taken for dead, and cannot bring them back yet.
    refused = ['presence-beat'];
    await eventually(async () => {
      const [now = name] = await names();
      return now !== name;
    }).toBe(true);
    refused = [];
    await eventually(() => holder.online('acme')).toEqual(['ann']);
  });

  it('who was about to be held when all were let go is not here either', async () => {
    for (let turns = 0; turns < 40; turns++) {
      const leaving = make(redis);
      const holding = leaving.hold('acme', 'ann');
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      await leaving.close();
      await holding;
      expect(await redis.command('ZCARD', `${namespace}:p:tenant:{acme}:online`), `${turns} turns`).toBe(0);
    }
  });

  it('nobody is held, heard or watched for by a presence that is closed', async () => {
    const left = make(redis);
    await left.close();
    const refusal = expect.objectContaining({ code: 'INVALID_ARGUMENT' });
    await expect(left.hold('acme', 'ann')).rejects.toThrow(refusal);
    await expect(left.watch('acme', () => {})).rejects.toThrow(refusal);
    expect(() => left.onChange(() => {})).toThrow(refusal);
    expect(await make(redis).online('acme')).toEqual([]);
  });

  it('who drops out of one tenant is told of although another tenant does not answer', async () => {
    const seeing = make(redis, { ttl: 300 });
    await seeing.seen('dead', 'eve');
    await seeing.seen('acme', 'ann');
    const told: string[] = [];
    make(
      refusing(redis, ({ key }) => key.includes('{dead}')),
      { ttl: 300 },
    ).onChange(({ type, member }) => told.push(`${type} ${member}`));
    await eventually(() => told).toEqual(['leave ann']);
  });

  it('who drops out is told of although the list of the processes does not answer', async () => {
    const told: string[] = [];
    const watcher = make(
      refusing(redis, ({ key }) => key === serversKey(namespace)),
      { ttl: 300 },
    );
    watcher.onChange(({ type, member }) => told.push(`${type} ${member}`));
    await watcher.seen('acme', 'ann');
    await eventually(() => told).toEqual(['join ann', 'leave ann']);
  });

  it('wherever a process dies, nothing stays without an end', async () => {
    for (let last = 0; last < 12; last++) {
      let left = last;
      const holder = make(refusing(redis, () => left-- <= 0));
      await holder.hold('acme', 'ann', { device: 'tab' }).catch(() => {});
      await holder.seen('umbrella', 'bob').catch(() => {});
      left = 0;
      expect(await withoutEnd(), `after ${last} commands`).toEqual([]);
    }
  });

  it('wherever the one dies that lets the members of another leave, nothing stays without an end', async () => {
    const holder = make(redis, { lease: '1m' });
    await holder.hold('acme', 'ann');
    const key = serversKey(namespace);
    const [name] = (await redis.command('ZRANGE', key, 0, 0)) as string[];
    await redis.command('ZADD', key, 'XX', 1, name as string);
    let claimed = false;
    make(
      refusing(redis, ({ name: asked }) => {
        if (claimed) return true;
        claimed = asked === 'presence-claim';
        return false;
      }),
    ).onChange(() => {});
    await eventually(() => redis.command('ZRANGE', key, 0, -1)).toEqual([`!${name}`]);
    expect(await withoutEnd()).toEqual([]);
  });

  it('what is noted for long is not forgotten because something else is noted for short', async () => {
    const days = make(redis, { ttl: '3d' });
    await days.seen('acme', 'ann');
    await make(redis, { ttl: '1m' }).seen('umbrella', 'bob');
    expect(await redis.command('PTTL', dueKey(namespace))).toBeGreaterThan(3 * 86_400_000);
  });

  it('where a process holds members is known for as long as they may stay', async () => {
    await make(redis, { ttl: '9d' }).hold('acme', 'ann');
    for await (const page of redis.scan(`${namespace}:p:global:held:`)) {
      expect(page).toHaveLength(1);
      expect(await redis.command('PTTL', page[0] as string)).toBeGreaterThan(9 * 86_400_000);
    }
  });
});
