import { type Cache, createCache, defineKeys, type RedisExecutor, resource } from '@cachekit/core';
import { startRedis } from '@cachekit/services';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ioredisExecutor, redisTier } from '../../src/index.ts';
import { ioredis, type Observer, observe } from './clients.ts';
import { eventually } from './eventually.ts';

type Server = Awaited<ReturnType<typeof startRedis>>;

const tenant = 'acme';

const ways = ioredis.flatMap((client) =>
  (['tracking', 'pubsub'] as const).map((coherence) => ({ ...client, coherence })),
);

describe.each(ways)('two processes over one Redis, by $coherence with $name', ({ standalone, coherence }) => {
  let server: Server;
  let observer: Observer;
  let executors: RedisExecutor[];
  let here: Cache;
  let there: Cache;
  let keys: ReturnType<typeof keysOf>;
  let database: number;
  let loads: number;

  beforeAll(async () => {
    server = await startRedis({ own: true });
    observer = observe(server.url);
  });
  beforeEach(() => {
    const namespace = uniqueNamespace();
    keys = keysOf(namespace);
    database = 1;
    loads = 0;
    executors = [];
    const cache = (): Cache => {
      // A call that a busy machine delays is no outage, in which each would load for itself.
      const redis = ioredisExecutor(standalone(server.url), { commandTimeout: '1s' });
      executors.push(redis);
      return createCache({ namespace, remote: redisTier({ redis, namespace, coherence }) });
    };
    here = cache();
    there = cache();
  });
  afterEach(async () => {
    await Promise.all([here.close(), there.close()]);
    await Promise.all(executors.map((redis) => redis.close()));
  });
  afterAll(async () => {
    observer.disconnect();
    await server.stop();
  });

  const load = async (): Promise<number> => {
    loads++;
    return database;
  };
  const read = (cache: Cache): Promise<number> => cache.getOrLoad(keys.total({ tenant }), load);
  /** Both have the value in memory and believe it: a read asks nobody. */
  const settled = async (): Promise<void> => {
    for (const cache of [here, there]) {
      const fromMemory = async (): Promise<number> => {
        const before = cache.metrics().cache.overall.memoryHits;
        await read(cache);
        return cache.metrics().cache.overall.memoryHits - before;
      };
      await eventually(fromMemory).toBe(1);
    }
  };

  it('both know how long the loader of one said that its value is fresh', async () => {
    const key = keys.total({ tenant });
    const reads = [
      await here.read(key, ({ set }) => {
        set({ ttl: '30s' });
        return 1;
      }),
      await there.read(key, load),
      await here.readRaw(key, load),
    ];
    expect(reads.map(({ state }) => state)).toEqual(['miss', 'hit', 'hit']);
    // From the beginning of the load on, by what each knows of the time of Redis.
    for (const { ttlMs } of reads) expect(Math.abs(ttlMs - 30_000)).toBeLessThan(5_000);
  });

  it('a value is loaded once for both, and then read from memory', async () => {
    await settled();
    expect(loads).toBe(1);
    expect(await Promise.all([read(here), read(there)])).toEqual([1, 1]);
  });

  it('callers that come at once, in both, share one load', async () => {
    let finish: (() => void) | undefined;
    const slow = (): Promise<number> => {
      loads++;
      return new Promise((resolve) => {
        finish = () => resolve(database);
      });
    };
    const callers = Array.from({ length: 200 }, (_, index) =>
      (index % 2 === 0 ? here : there).getOrLoad(keys.total({ tenant }), slow),
    );
    await eventually(() => loads).toBe(1);
    finish?.();
    expect(new Set(await Promise.all(callers))).toEqual(new Set([1]));
    expect(loads).toBe(1);
  });

  it('loads that share tags nobody knows yet are all stored, in whatever order they end', async () => {
    const ends: (() => void)[] = [];
    const slow = (): Promise<number> => new Promise((resolve) => ends.push(() => resolve(database)));
    const limits = [1, 2, 3, 4, 5];
    const first = limits.map((limit) => here.getOrLoad(keys.recent({ tenant, limit }), slow));
    await eventually(() => ends.length).toBe(limits.length);
    for (const end of ends.reverse()) end();
    await Promise.all(first);
    for (const limit of limits) await there.getOrLoad(keys.recent({ tenant, limit }), load);
    expect(loads).toBe(0);
  });

  const changes: Record<string, () => Promise<unknown>> = {
    'an invalidation of the key': () => here.invalidate(keys.total({ tenant })),
    'an invalidation of its tag': () => here.invalidateTags(keys.tag(tenant, 'calls')),
    'a clear': () => here.clear(),
    'a set': () => here.set(keys.total({ tenant }), 2),
  };
  it.each(Object.entries(changes))('%s in one reaches the memory of the other', async (_name, change) => {
    await settled();
    database = 2;
    await change();
    expect(await read(here)).toBe(2);
    await eventually(() => read(there)).toBe(2);
  });

  it.each(Object.entries(changes))(
    '%s in one during a load in the other: the old value is kept nowhere',
    async (_name, change) => {
      await settled();
      await there.invalidate(keys.total({ tenant }));
      let finish: ((value: number) => void) | undefined;
      const slow = there.getOrLoad(
        keys.total({ tenant }),
        () =>
          new Promise<number>((resolve) => {
            finish = resolve;
          }),
      );
      await eventually(() => finish !== undefined).toBe(true);
      database = 2;
      await change();
      finish?.(1);
      await slow;
      await eventually(() => read(there)).toBe(2);
      expect(await read(here)).toBe(2);
    },
  );

  it('sets of both at the same moment: both and Redis end with the same value', async () => {
    await settled();
    for (let round = 0; round < 30; round++) {
      await Promise.all([
        here.set(keys.total({ tenant }), 2 * round),
        there.set(keys.total({ tenant }), 2 * round + 1),
      ]);
      const agree = async (): Promise<boolean> => (await read(here)) === (await read(there));
      await eventually(agree).toBe(true);
    }
  });

  it('an invalidation right after the subscription was killed is not missed', async () => {
    await settled();
    await observer.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    database = 2;
    await here.invalidate(keys.total({ tenant }));
    expect(await read(here)).toBe(2);
    await eventually(() => read(there)).toBe(2);
    await settled();
  });

  it('after a lost subscription during which nothing changed, Redis is asked as little as the way allows', async () => {
    await settled();
    const states: string[] = [];
    there.on('coherence', ({ state }) => states.push(state));
    await observer.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await eventually(() => states).toEqual(['lost', 'armed']);
    const { remoteHits } = there.metrics().cache.overall;
    expect(await read(there)).toBe(1);
    // The log of changes says that nothing was missed; who tracks compares the entry with Redis, once.
    const asked = coherence === 'pubsub' ? 0 : 1;
    expect(there.metrics().cache.overall.remoteHits - remoteHits).toBe(asked);
    expect(await read(there)).toBe(1);
    expect(there.metrics().cache.overall.remoteHits - remoteHits).toBe(asked);
    expect(loads).toBe(1);
  });

  it('Redis killed and restarted while both read: every read answers, and the last answer is right', async () => {
    await settled();
    let reading = true;
    const answers: number[] = [];
    let slowestMs = 0;
    const reader = async (cache: Cache): Promise<void> => {
      while (reading) {
        const start = performance.now();
        answers.push(await read(cache));
        slowestMs = Math.max(slowestMs, performance.now() - start);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    };
    const readers = [reader(here), reader(there)];
    await server.kill('SIGKILL');
    const before = answers.length;
    await eventually(() => answers.length).toBeGreaterThan(before + 100);
    database = 2;
    await server.restart();
    const invalidated = (): Promise<boolean> =>
      here.invalidateTags(keys.tag(tenant, 'calls')).then(
        () => true,
        () => false,
      );
    await eventually(invalidated).toBe(true);
    await eventually(async () => [await read(here), await read(there)]).toEqual([2, 2]);
    reading = false;
    await Promise.all(readers);
    expect(answers.every((answer) => answer === 1 || answer === 2)).toBe(true);
    expect(slowestMs).toBeLessThan(2_000);
    await settled();
  });

  it('Redis stopped: a cold read is answered by the loader in time', async () => {
    await settled();
    await server.kill('SIGSTOP');
    try {
      const start = performance.now();
      expect(await here.getOrLoad(keys.recent({ tenant, limit: 1 }), load)).toBe(1);
      expect(performance.now() - start).toBeLessThan(2_000);
    } finally {
      await server.kill('SIGCONT');
    }
    await settled();
  });
});

function keysOf(namespace: string) {
  return defineKeys({
    namespace,
    scope: 'tenant',
    resources: {
      total: resource<number>({ ttl: '1h', tags: ['calls'] }),
      recent: resource<number, { limit: number }>({ ttl: '1h', tags: ['calls', 'recent'] }),
    },
  });
}
