import type { LockProvider, RedisExecutor } from '@cachekit/core';
import { type LockFixture, lockSuite } from '@cachekit/core/testing';
import { startRedis } from '@cachekit/services';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { describe, expect, inject, it } from 'vitest';
import { createLocks, ioredisExecutor, type Locks, type WakeUp } from '../../src/index.ts';
import { lockKeys } from '../../src/lock/lock-keys.ts';
import { ioredis, observe } from './clients.ts';
import { eventually } from './eventually.ts';
import { type OpenExecutor, onEveryServer, withoutSubscriptions } from './on-every-server.ts';

const [client] = ioredis as [(typeof ioredis)[0] & object];

async function fixture(open: OpenExecutor, wakeUp: WakeUp): Promise<LockFixture> {
  const namespace = uniqueNamespace();
  const outside = open();
  const opened: Locks[] = [];
  return {
    open(): LockProvider {
      const locks = createLocks({ redis: open(), namespace, wakeUp });
      opened.push(locks);
      return locks;
    },
    async queued(key, count) {
      await eventually(() => queueLength(outside, namespace, key)).toBe(count);
    },
    async close() {
      await Promise.all(opened.map((locks) => locks.close()));
    },
  };
}

function queueLength(redis: RedisExecutor, namespace: string, key: string): Promise<unknown> {
  return redis.command('ZCARD', lockKeys(namespace, key)[1] as string);
}

onEveryServer('createLocks()', (open, server, wakeUp) => {
  lockSuite(server, () => fixture(open, wakeUp));

  it('the whole queue is served, with messages without anybody looking by itself', async () => {
    const namespace = uniqueNamespace();
    const locks = createLocks({ redis: open(), namespace, wakeUp });
    const others = createLocks({ redis: open(), namespace, wakeUp });
    let last = await locks.lock('a', { ttl: '60s' });
    const waiting = Array.from({ length: 10 }, (_, index) =>
      (index % 2 === 0 ? locks : others).lock('a', { ttl: '60s', wait: '60s' }),
    );
    await eventually(() => queueLength(open(), namespace, 'a')).toBe(10);
    const began = performance.now();
    for (let left = waiting.length; left > 0; left--) {
      await last?.release();
      const next = await Promise.race(waiting.map((lease, index) => lease.then(() => index)));
      last = await waiting[next];
      waiting.splice(next, 1);
    }
    // Ten looks at the next second would take ten seconds.
    expect(performance.now() - began).toBeLessThan(wakeUp === 'pubsub' ? 5_000 : 20_000);
    await last?.release();
    await locks.close();
    await others.close();
  });

  it('leaves nothing behind that does not expire', async () => {
    const namespace = uniqueNamespace();
    const redis = open();
    const locks = createLocks({ redis, namespace, wakeUp });
    const lease = await locks.lock('a', { ttl: '60s' });
    await locks.lock('a', { ttl: '60s', wait: 50 });
    const waiting = locks.lock('a', { ttl: '60s', wait: '60s' });
    await eventually(() => queueLength(redis, namespace, 'a')).toBe(1);
    for await (const page of redis.scan(`${namespace}:`)) {
      for (const key of page) expect(await redis.command('PTTL', key)).toBeGreaterThan(0);
    }
    await lease?.release();
    await (await waiting)?.release();
    await locks.close();
  });

  it('one that is gone does not hold up the queue', async () => {
    const namespace = uniqueNamespace();
    const redis = open();
    const gone = open();
    const locks = createLocks({ redis, namespace, wakeUp });
    const lease = await locks.lock('a', { ttl: '60s' });
    createLocks({ redis: gone, namespace, wakeUp })
      .lock('a', { ttl: '60s', wait: '60s' })
      .catch(() => {});
    await eventually(() => queueLength(redis, namespace, 'a')).toBe(1);
    const next = locks.lock('a', { ttl: '60s', wait: '60s' });
    await eventually(() => queueLength(redis, namespace, 'a')).toBe(2);
    // As if its process had been killed: nothing is given back.
    await gone.close();
    await lease?.release();
    expect(await (await next)?.release()).toBe('released');
    await locks.close();
  });

  it('close() ends what waits', async () => {
    const namespace = uniqueNamespace();
    const redis = open();
    const locks = createLocks({ redis, namespace, wakeUp });
    const lease = await locks.lock('a', { ttl: '60s' });
    const waiting = locks.lock('a', { ttl: '60s', wait: '60s' });
    await eventually(() => queueLength(redis, namespace, 'a')).toBe(1);
    await locks.close();
    expect(await waiting).toBeUndefined();
    expect(await lease?.release()).toBe('released');
  });
});

/** The executor, with the names of its scripts, and with messages that may be held back. */
function watched(real: RedisExecutor) {
  const scripts: string[] = [];
  const late: (() => void)[] = [];
  let holding = false;
  const executor: RedisExecutor = {
    capabilities: real.capabilities,
    command: (name, ...args) => real.command(name, ...args),
    script(script, keys, args) {
      scripts.push(script.name);
      return real.script(script, keys, args);
    },
    scan: (prefix) => real.scan(prefix),
    subscriber() {
      const subscriber = real.subscriber();
      return {
        subscribe: (channel, listener) =>
          subscriber.subscribe(channel, (message) => {
            if (holding) late.push(() => listener(message));
            else listener(message);
          }),
        onState: (listener) => subscriber.onState(listener),
        close: () => subscriber.close(),
      };
    },
    close: () => real.close(),
  };
  return {
    executor,
    scripts,
    late,
    hold(): void {
      holding = true;
    },
    release(): void {
      holding = false;
      for (const tell of late.splice(0)) tell();
    },
  };
}

describe('a lock that is handed over', () => {
  const open = (): RedisExecutor =>
    ioredisExecutor(client.standalone(inject('redisUrl')), { commandTimeout: '10s' });

  it('is held by the next one without asking again, and for the whole of its ttl', async () => {
    const real = open();
    const { executor, scripts } = watched(real);
    const namespace = uniqueNamespace();
    const locks = createLocks({ redis: executor, namespace });
    const first = await locks.lock('a', { ttl: '60s', wait: '60s' });
    const waiting = locks.lock('a', { ttl: '60s', wait: '60s', renew: false });
    await eventually(() => queueLength(real, namespace, 'a')).toBe(1);
    scripts.length = 0;
    await first?.release();
    const second = await waiting;
    expect(second?.fencingToken).toBeGreaterThan(first?.fencingToken as number);
    expect(scripts).toEqual(['lock-release']);
    const [holders] = lockKeys(namespace, 'a');
    await eventually(() => real.command('PTTL', holders as string)).toBeGreaterThan(50_000);
    expect(scripts).toEqual(['lock-release', 'lock-extend']);
    expect(await second?.release()).toBe('released');
    await locks.close();
    await real.close();
  });

  it('is not given by a message that comes so late that it is somebody else who has it', async () => {
    const real = open();
    const { executor, late, hold, release } = watched(real);
    const namespace = uniqueNamespace();
    const locks = createLocks({ redis: executor, namespace });
    const others = createLocks({ redis: real, namespace });
    const first = await locks.lock('a', { ttl: '60s', wait: '60s' });
    const waiting = locks.lock('a', { ttl: 400, wait: '60s' });
    let given = false;
    void waiting.then(() => {
      given = true;
    });
    await eventually(() => queueLength(real, namespace, 'a')).toBe(1);
    hold();
    await first?.release();
    await eventually(() => late.length).toBe(1);
    // As if this had come before the next look: what was handed over is over, and is another's.
    const [holders, queue, meta] = lockKeys(namespace, 'a') as [string, string, string];
    await real.command('DEL', holders);
    const other = await others.lock('a', { ttl: '60s', wait: '60s' });
    expect(await real.command('EXISTS', meta)).toBe(1);
    await eventually(() => real.command('ZCARD', queue)).toBe(1);
    release();
    await eventually(() => late.length).toBe(0);
    await expect.poll(() => given, { timeout: 300 }).toBe(false);
    expect(await other?.release()).toBe('released');
    const last = await waiting;
    expect(last?.fencingToken).toBeGreaterThan(other?.fencingToken as number);
    await last?.release();
    await Promise.all([locks.close(), others.close()]);
    await real.close();
  });
});

describe('createLocks()', () => {
  it('refuses a client that cannot be woken, and options that are none', () => {
    const redis = ioredisExecutor(client.standalone(inject('redisUrl')), { commandTimeout: '5s' });
    const blunt = withoutSubscriptions(redis);
    expect(() => createLocks({ redis: blunt })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_BY_CLIENT' }),
    );
    expect(() => createLocks({ redis: blunt, wakeUp: 'poll' })).not.toThrow();
    for (const options of [
      { redis, wakeUp: 'push' },
      { redis, namespace: 'a:b' },
      { redis, ttl: 1 },
    ]) {
      expect(() => createLocks(options as never)).toThrow(
        expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
      );
    }
  });

  describe('when Redis has a bad day', () => {
    async function ownServer(
      test: (redis: RedisExecutor, server: Awaited<ReturnType<typeof startRedis>>) => Promise<void>,
    ): Promise<void> {
      const server = await startRedis({ own: true });
      const redis = ioredisExecutor(client.standalone(server.url), { commandTimeout: 300 });
      try {
        await test(redis, server);
      } finally {
        await redis.close();
        await server.stop();
      }
    }

    it('it loses its data: the next fencing token is greater all the same, and the holder is told', () =>
      ownServer(async (redis) => {
        const locks = createLocks({ redis });
        const first = await locks.lock('a', { ttl: 900 });
        await redis.command('FLUSHALL');
        const second = await locks.lock('a', { ttl: '60s' });
        expect(second?.fencingToken).toBeGreaterThan(first?.fencingToken as number);
        await eventually(() => first?.signal.aborted).toBe(true);
        expect(await first?.release()).toBe('lost');
        expect(await second?.release()).toBe('released');
        await locks.close();
      }));

    it('it hangs: the holder is told before its lock would expire, and release() does not reject', () =>
      ownServer(async (redis, server) => {
        const locks = createLocks({ redis });
        const lease = await locks.lock('a', { ttl: 1_000 });
        const began = performance.now();
        await server.kill('SIGSTOP');
        await eventually(() => lease?.signal.aborted).toBe(true);
        expect(performance.now() - began).toBeLessThan(5_000);
        expect(await lease?.release()).toBe('unknown');
        const kept = createLocks({ redis }).lock('b', { ttl: 1_000 });
        await expect(kept).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE' });
        await server.kill('SIGCONT');
        await locks.close();
      }));

    it('it is restarted while one waits: the wait goes on', () =>
      ownServer(async (redis, server) => {
        const locks = createLocks({ redis });
        await locks.lock('a', { ttl: '60s', renew: false });
        const waiting = locks.lock('a', { ttl: '60s', wait: '60s' });
        await eventually(() => queueLength(redis, 'ck', 'a')).toBe(1);
        await server.kill('SIGKILL');
        await server.restart();
        expect(await (await waiting)?.release()).toBe('released');
        await locks.close();
      }));

    it('the subscription is lost while one waits: it is its turn within a second or two', () =>
      ownServer(async (redis, server) => {
        const observer = observe(server.url);
        const locks = createLocks({ redis });
        const lease = await locks.lock('a', { ttl: '60s' });
        const waiting = locks.lock('a', { ttl: '60s', wait: '60s' });
        await eventually(() => queueLength(redis, 'ck', 'a')).toBe(1);
        expect(await observer.call('CLIENT', 'KILL', 'TYPE', 'pubsub')).toBe(1);
        await lease?.release();
        expect(await (await waiting)?.release()).toBe('released');
        await locks.close();
        observer.disconnect();
      }));
  });
});
