import { type CoherenceMode, createCache, defineKeys, type RedisExecutor, resource } from '@cachekit/core';
import { expect } from 'vitest';
import {
  createCounters,
  createLists,
  createLocks,
  createPairing,
  createPresence,
  createSessions,
  redisDoctor,
  redisStats,
  redisTier,
} from '../../../src/index.ts';

/** In the end. Not for long: what is refused fails at once, and who tries the rights needs no more. */
function eventually<T>(ask: () => T): ReturnType<typeof expect.poll<T>> {
  return expect.poll(ask, { timeout: 5_000, interval: 20 });
}

/** Everything that a feature does, by its heading on the page about permissions. */
export const features: Readonly<Record<string, (open: () => RedisExecutor) => Promise<void>>> = {
  'Cache, by tracking': (open) => useCache(open, 'tracking'),
  'Cache, by messages': (open) => useCache(open, 'pubsub'),
  'Cache, by a log': (open) => useCache(open, 'log'),
  'Cache, by time alone': (open) => useCache(open, 'ttl'),
  Locks: async (open) => {
    const locks = createLocks({ redis: open() });
    try {
      const first = await locks.lock('a', { ttl: '10s' });
      const second = locks.lock('a', { ttl: '10s', wait: '10s' });
      second.catch(() => {});
      await first?.extend();
      // So long that the other waits, and has to be woken.
      await new Promise((resolve) => setTimeout(resolve, 200));
      await first?.release();
      expect(await (await second)?.release()).toBe('released');
    } finally {
      await locks.close();
    }
  },
  Sessions: async (open) => {
    const sessions = createSessions<number>({ redis: open(), idleTtl: '1m', maxLifetime: '1d' });
    const { id } = await sessions.create('acme', { user: '7', data: 1 });
    await sessions.update(id, (data) => data + 1);
    await sessions.rotate(id);
    const other = await sessions.create('acme', { user: '7', data: 1 });
    await sessions.end(other.id);
    expect(await sessions.endAll('acme', '7')).toBe(1);
  },
  Pairing: async (open) => {
    const pairing = createPairing<number, number>({ redis: open() });
    try {
      const { code, secret } = await pairing.create(1);
      const claimed = pairing.waitForClaim(secret);
      claimed.catch(() => {});
      await pairing.claim('wrong', { by: '7' });
      await pairing.claim(code, { by: '7' });
      await claimed;
      await pairing.confirm(code, { by: '7', answer: 1 });
      await pairing.poll(secret);
      await pairing.cancel(secret);
    } finally {
      await pairing.close();
    }
  },
  Presence: async (open) => {
    const presence = createPresence({ redis: open(), ttl: 200, grace: 10 });
    try {
      const changes: string[] = [];
      presence.onChange(({ type }) => changes.push(type));
      const end = await presence.watch('acme', () => {});
      await presence.seen('acme', 'ann', { device: 'phone', meta: 1 });
      await presence.seen('acme', 'ann', { device: 'desk' });
      await presence.leave('acme', 'ann');
      const held = await presence.hold('acme', 'bob');
      await held.leave();
      await eventually(() => changes.filter((type) => type === 'leave').length).toBe(3);
      await presence.count('acme');
      await presence.online('acme');
      end();
    } finally {
      await presence.close();
    }
  },
  'Counters and lists': async (open) => {
    const redis = open();
    const counters = createCounters({ redis, window: '1h' });
    await counters.add('acme', 'calls');
    await counters.read('acme', 'calls');
    const lists = createLists<number>({ redis, ttl: '1m' });
    await lists.append('acme', 'a', 1);
    await lists.last('acme', 'a');
    await lists.clear('acme', 'a');
  },
  'Doctor and statistics': async (open) => {
    const redis = open();
    await redisStats(redis)();
    for (const { check, level } of await redisDoctor({ redis })) expect(level, check).toBe('ok');
  },
};

const keys = defineKeys({
  scope: 'tenant',
  resources: { total: resource<number>({ ttl: '1h', staleWhileRevalidate: '1h', tags: ['calls'] }) },
});

async function useCache(open: () => RedisExecutor, coherence: CoherenceMode): Promise<void> {
  const tier = redisTier({ redis: open(), coherence });
  const refused: unknown[] = [];
  tier.onFallback(({ reason }) => refused.push(reason));
  const here = createCache({ remote: tier });
  const there = createCache({ remote: redisTier({ redis: open(), coherence }) });
  const key = keys.total({ tenant: 'acme' });
  const fails = (error: unknown) => {
    throw error;
  };
  here.on('tierError', ({ error }) => refused.push(error));
  try {
    await here.getOrLoad(key, async () => 1);
    await there.getOrLoad(key, async () => 1);
    const armed = async (): Promise<unknown> => (await here.health()).coherence?.armed ?? true;
    if (coherence !== 'ttl') {
      await eventually(armed).toBe(true);
      const held = async (): Promise<unknown> => {
        await there.getOrLoad(key, async () => 1);
        return there.peek(key);
      };
      await eventually(held).toBe(1);
      // Heard of from the other, in whatever way.
      await here.set(key, 3);
      await eventually(() => there.peek(key)).not.toBe(1);
    }
    await here.refresh(key, async () => 2);
    await there.getOrLoad(keys.total({ tenant: 'same' }), ({ stale, notModified }) =>
      stale === undefined ? 1 : notModified(),
    );
    await there.refresh(keys.total({ tenant: 'same' }), ({ notModified }) => notModified());
    await here.getOrLoad(keys.total({ tenant: 'none' }), () => fails(new Error('down'))).catch(() => {});
    await tier.expire([key.wire]);
    await here.set(key, 4);
    await here.invalidate(key);
    await here.invalidateTags(keys.tag('acme', 'calls'));
    await there.clear();
    await here.eraseTenant('acme');
    expect(refused).toEqual([]);
  } finally {
    await Promise.all([here.close(), there.close()]);
  }
}
