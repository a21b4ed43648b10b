import {
  createCache,
  defineKeys,
  newToken,
  type RedisExecutor,
  type RemoteEntry,
  type RemoteTier,
  resource,
  type TierClock,
  tenantPrefix,
} from '@cachekit/core';
import { startRedis } from '@cachekit/services';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CoherenceFallback, ioredisExecutor, type RedisTier, redisTier } from '../../src/index.ts';
import { connections, ioredis, type Observer, observe } from './clients.ts';
import { eventually } from './eventually.ts';
import { Told } from './told.ts';

type Server = Awaited<ReturnType<typeof startRedis>>;

const prefix = tenantPrefix('ck', 'c', 'acme');
const key = `${prefix}devices`;
const tag = `${prefix}#devices`;

function entry(clock: TierClock, tags: readonly string[] = []): RemoteEntry {
  const version = newToken(Math.random);
  const freshUntil = Date.now() + 60_000;
  return { kind: 'value', clock, freshUntil, version, loadMs: 0, tags, codec: 'j', payload: '1' };
}

describe.each(ioredis)('coherence by tracking over $name', ({ standalone }) => {
  let server: Server;
  let observer: Observer;
  let mine: RedisExecutor;
  let other: RedisExecutor;
  let writer: RemoteTier;
  let listener: RedisTier;
  let told: Told;

  beforeAll(async () => {
    server = await startRedis({ own: true });
    observer = observe(server.url);
  });
  beforeEach(() => {
    mine = ioredisExecutor(standalone(server.url), { commandTimeout: '2s' });
    other = ioredisExecutor(standalone(server.url), { commandTimeout: '2s' });
    writer = redisTier({ redis: mine });
    listener = redisTier({ redis: other });
    told = new Told();
  });
  afterEach(async () => {
    await Promise.all([writer.close(), listener.close()]);
    await Promise.all([mine.close(), other.close()]);
    await observer.flushall();
  });
  afterAll(async () => {
    observer.disconnect();
    await server.stop();
  });

  async function listen(): Promise<void> {
    listener.coherence.start(told);
    await eventually(() => told.events).toEqual(['armed']);
    told.forget();
  }

  async function begin(tier: RemoteTier, tags: readonly string[] = [], replaces?: string) {
    const token = newToken(Math.random);
    const asked = { key, token, leaseMs: 10_000, tags, ...(replaces === undefined ? {} : { replaces }) };
    const acquired = await tier.acquire(asked);
    if (acquired.state !== 'acquired') throw new Error(`Expected to load; got ${acquired.state}`);
    return { token, clock: acquired.clock };
  }

  /** Everything that the server has told so far has arrived once this has. */
  async function settled(): Promise<void> {
    const mark = `${prefix}mark:${newToken(Math.random)}`;
    await observer.set(mark, '');
    await eventually(() => told.keys.has(mark)).toBe(true);
    // What was heard of own keys has been looked up, on this very connection, before this is answered.
    await listener.getMany([mark]);
  }

  it('is the default, and opens no connection before it is started (RC-1)', async () => {
    await observer.ping();
    expect(await connections(observer)).toBe(0);
    expect(listener.coherence.mode).toBe('tracking');
    await listen();
    expect(await connections(observer)).toBe(1);
  });

  it('R9 a DEL, SET, EXPIRE or RENAME of any client is heard at once', async () => {
    await listen();
    const heard = async (): Promise<void> => {
      await eventually(() => told.keys.has(key)).toBe(true);
      told.forget();
    };
    const began = performance.now();
    await observer.set(key, 'foreign');
    await heard();
    await observer.pexpire(key, 100_000);
    await heard();
    await observer.rename(key, `${key}:elsewhere`);
    await heard();
    await observer.set(key, 'foreign');
    await heard();
    await observer.del(key);
    await heard();
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  it('R20 a delete by a process that does not hold the key is heard', async () => {
    await writer.put(key, entry(0), 60_000);
    await listen();
    await writer.delete([key]);
    await eventually(() => told.events).toEqual([`changed ${key}`]);
  });

  it('so is a delete of a key that is not in Redis, which leaves nothing there', async () => {
    await listen();
    await writer.delete([key]);
    await eventually(() => told.keys.has(key)).toBe(true);
    expect(await observer.exists(key)).toBe(0);
  });

  it('expiry is heard', async () => {
    await listen();
    await observer.set(key, 'foreign', 'PX', 20);
    // That it is there, and that it is there no more.
    await eventually(() => told.events).toEqual([`changed ${key}`, `changed ${key}`]);
  });

  it('eviction is heard', async () => {
    await listen();
    await observer.set(key, 'foreign', 'PX', 100_000);
    await settled();
    told.forget();
    const used = Number(/used_memory:(\d+)/.exec(String(await observer.info('memory')))?.[1]);
    await observer.config('SET', 'maxmemory-policy', 'volatile-ttl');
    await observer.config('SET', 'maxmemory', String(used - 10_000));
    try {
      await observer.get('nothing');
      await observer.set('elsewhere', 'x').catch(() => {});
      await eventually(() => told.keys.has(key)).toBe(true);
    } finally {
      await observer.config('SET', 'maxmemory', '0');
      await observer.config('SET', 'maxmemory-policy', 'noeviction');
    }
  });

  it('FLUSHALL and FLUSHDB drop everything', async () => {
    await listen();
    await observer.flushall();
    await eventually(() => told.events).toEqual(['changed all']);
    await observer.flushdb();
    await eventually(() => told.events).toEqual(['changed all', 'changed all']);
  });

  it('keys of others are not heard', async () => {
    await listen();
    await observer.set('elsewhere', 'x');
    await observer.set('ck2:c:tenant:{acme}:devices', 'x');
    await observer.set('ck:l:tenant:{acme}:api', 'x');
    await settled();
    expect(told.events.length).toBe(1);
  });

  it('a connection that is killed is told, and what comes after the return is heard (R8)', async () => {
    await listen();
    await observer.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await eventually(() => told.events).toEqual(['lost', 'armed']);
    await observer.set(key, 'foreign');
    await eventually(() => told.events).toEqual(['lost', 'armed', `changed ${key}`]);
  });

  it('so is the loss of the connection for commands: the next may lead elsewhere', async () => {
    await listen();
    await listener.getMany([key]);
    await observer.call('CLIENT', 'KILL', 'TYPE', 'normal');
    await eventually(() => told.events).toEqual(['lost', 'armed']);
    await observer.set(key, 'foreign');
    await eventually(() => told.keys.has(key)).toBe(true);
  });

  it('a server that falls silent is told within seconds, and so is its return', async () => {
    await listen();
    await server.kill('SIGSTOP');
    try {
      await eventually(() => told.events).toEqual(['lost']);
    } finally {
      await server.kill('SIGCONT');
    }
    await eventually(() => told.state).toBe('armed');
    await settled();
  });

  it('a server that is killed and restarted is tracked again', async () => {
    await listen();
    await server.kill('SIGKILL');
    await eventually(() => told.events).toEqual(['lost']);
    await server.restart();
    await eventually(() => told.state).toBe('armed');
    await settled();
  });

  it('is not armed while Redis is down at the start, and nothing is thrown', async () => {
    await server.kill('SIGKILL');
    listener.coherence.start(told);
    await expect(listener.getMany([key])).rejects.toThrow();
    expect(told.events).toEqual([]);
    await server.restart();
    await eventually(() => told.state).toBe('armed');
  });

  describe('of what this process writes itself', () => {
    it('a load is told with its own token, so that it is not taken for overtaken', async () => {
      await listen();
      const { token } = await begin(listener, [tag]);
      await eventually(() => told.versions).toEqual([token]);
      await settled();
      expect(told.keys.has(tag)).toBe(false);
    });

    it('a commit is told with the version that was stored', async () => {
      await listen();
      const { token, clock } = await begin(listener, [tag]);
      await settled();
      told.forget();
      const loaded = { ...entry(clock, [tag]), version: token };
      expect(await listener.commit({ key, token, entry: loaded, ttlMs: 60_000 })).toBe(true);
      await eventually(() => told.versions).toEqual([token]);
      await settled();
      expect(told.keys.has(tag)).toBe(false);
    });

    it('a put is told with the version that was stored', async () => {
      await listen();
      const stored = entry(0, [tag]);
      await listener.put(key, stored, 60_000);
      await eventually(() => told.versions).toEqual([stored.version]);
      await settled();
      expect(told.keys.has(tag)).toBe(false);
    });

    it('a refresh is told with its token, and what others do to it then without', async () => {
      await listen();
      const old = entry(0);
      await listener.put(key, old, 60_000);
      await settled();
      told.forget();
      const { token } = await begin(listener, [], old.version);
      await eventually(() => told.versions).toEqual([token]);
      told.forget();
      await writer.expire([key]);
      await eventually(() => told.versions.length).toBe(1);
      expect(told.versions[0]).not.toBe(token);
      expect(told.versions[0]).not.toBe(old.version);
    });

    it('a change of another at the same moment is never taken for its own', async () => {
      await listen();
      for (let round = 0; round < 100; round++) {
        told.forget();
        const stored = entry(0);
        const [, deleted] = await Promise.all([listener.put(key, stored, 60_000), writer.delete([key])]);
        expect(deleted).toBeGreaterThan(0);
        const [found] = await listener.getMany([key]);
        const version = found?.state === 'entry' ? found.entry.version : undefined;
        await eventually(() => told.versions.at(-1)).toBe(version);
        await settled();
        expect(told.versions.filter((_, index) => told.events[index] === `changed ${key}`).at(-1)).toBe(
          version,
        );
      }
    });

    it('a tag that another bumps right after is heard', async () => {
      await listen();
      await begin(listener, [tag]);
      await writer.bumpTags([tag]);
      await eventually(() => told.keys.has(tag)).toBe(true);
    });

    it('so is one whose version a put takes over, as it does after a server clock that went back', async () => {
      await listen();
      const ahead = (await writer.time()) + 3_600_000_000;
      await observer.set(tag, ahead);
      await eventually(() => told.keys.has(tag)).toBe(true);
      for (let round = 0; round < 50; round++) {
        told.forget();
        const asked = await listener.time();
        const [, clock] = await Promise.all([
          writer.bumpTags([tag]),
          listener.put(key, entry(asked, [tag]), 60_000),
        ]);
        expect(clock).toBeGreaterThanOrEqual(ahead);
        await settled();
        expect(told.keys.has(tag)).toBe(true);
      }
    });
  });

  describe('where the server refuses it', () => {
    const user = (rules: string[]): Promise<unknown> =>
      observer.call('ACL', 'SETUSER', 'deaf', 'reset', 'on', '>secret', '~*', '&*', '+@all', ...rules);
    const deafUrl = (): string => server.url.replace('redis://', 'redis://deaf:secret@');

    it('messages take its place, it says so, and changes are heard', async () => {
      await user(['-client|tracking']);
      const redis = ioredisExecutor(standalone(deafUrl()), { commandTimeout: '2s' });
      const tier = redisTier({ redis });
      const fallbacks: CoherenceFallback[] = [];
      tier.onFallback((fallback) => fallbacks.push(fallback));
      try {
        tier.coherence.start(told);
        await eventually(() => told.events).toEqual(['fell back to pubsub', 'armed']);
        expect(tier.coherence.mode).toBe('pubsub');
        expect(fallbacks).toMatchObject([{ from: 'tracking', to: 'pubsub' }]);
        expect(String(fallbacks[0]?.reason)).toContain('NOPERM');
        await writer.delete([key]);
        await eventually(() => told.keys.has(key)).toBe(true);
      } finally {
        await tier.close();
        await redis.close();
      }
    });

    it('the cache says so by an event', async () => {
      await user(['-client|tracking']);
      const redis = ioredisExecutor(standalone(deafUrl()), { commandTimeout: '2s' });
      const cache = createCache({ remote: redisTier({ redis }) });
      const fallbacks: unknown[] = [];
      cache.on('coherenceFallback', (fallback) => fallbacks.push(fallback));
      const keys = defineKeys({ scope: 'tenant', resources: { total: resource<number>({ ttl: '1h' }) } });
      try {
        expect(await cache.getOrLoad(keys.total({ tenant: 'acme' }), async () => 1)).toBe(1);
        await eventually(() => fallbacks).toEqual([{ to: 'pubsub', reason: expect.any(Error) }]);
      } finally {
        await cache.close();
        await redis.close();
      }
    });

    it('and it was asked for by name: memory is never trusted, and it says so', async () => {
      await user(['-client|tracking']);
      const redis = ioredisExecutor(standalone(deafUrl()), { commandTimeout: '2s' });
      const tier = redisTier({ redis, coherence: 'tracking' });
      try {
        tier.coherence.start(told);
        await eventually(() => told.events).toEqual(['fell back to nothing']);
      } finally {
        await tier.close();
        await redis.close();
      }
    });

    it('for the channel of tracking too', async () => {
      await observer.call('ACL', 'SETUSER', 'deaf', 'reset', 'on', '>secret', '~*', '+@all', '&ck:c:changes');
      const redis = ioredisExecutor(standalone(deafUrl()), { commandTimeout: '2s' });
      const tier = redisTier({ redis });
      try {
        tier.coherence.start(told);
        await eventually(() => told.events).toEqual(['fell back to pubsub', 'armed']);
      } finally {
        await tier.close();
        await redis.close();
      }
    });
  });
});
