import type { RedisExecutor } from '@cachekit/core';
import { ioredisExecutor } from '@cachekit/redis';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { Redis } from 'ioredis';
import { beforeEach, describe, expect, inject, test } from 'vitest';
import { createRateLimiter, fixedWindow, gcra, redisStore } from '../../src/index.ts';
import { connect } from './connection.ts';

const { redis, raw } = connect();

let namespace: string;
beforeEach(() => {
  namespace = uniqueNamespace();
});

/** The executor, with its script calls counted and held back on demand. */
function watched(real: RedisExecutor) {
  const calls: { readonly keys: number }[] = [];
  let gate: Promise<void> | undefined;
  let open: () => void = () => {};
  const executor: RedisExecutor = {
    capabilities: real.capabilities,
    command: (name, ...args) => real.command(name, ...args),
    async script(script, keys, args) {
      calls.push({ keys: keys.length });
      if (gate !== undefined) await gate;
      return real.script(script, keys, args);
    },
    scan: (prefix) => real.scan(prefix),
    subscriber: () => real.subscriber(),
    close: () => real.close(),
  };
  return {
    executor,
    calls,
    hold(): void {
      gate = new Promise((resolve) => {
        open = resolve;
      });
    },
    release(): void {
      gate = undefined;
      open();
    },
  };
}

function limiter(executor: RedisExecutor, timeout: number | '10s' = '10s') {
  return createRateLimiter({
    policies: {
      user: gcra({ limit: 3, window: '1m' }),
      api: gcra({ limit: 60_000, window: '1m' }),
      commands: fixedWindow({ limit: 10, window: '60s' }),
    },
    store: redisStore({ redis: executor, namespace }),
    timeout,
  });
}

describe('batching', () => {
  test('checks that are begun together leave together, at most 128 in one call', async () => {
    const { executor, calls } = watched(redis);
    const limits = limiter(executor);
    const decisions = await Promise.all(Array.from({ length: 300 }, (_, i) => limits.consume({ user: [i] })));
    expect(decisions.every(({ allowed, source }) => allowed && source === 'redis')).toBe(true);
    expect(calls.map(({ keys }) => keys)).toEqual([128, 128, 44]);
  });

  test('checks that are begun while a call is under way leave in one call when it is back', async () => {
    const { executor, calls, hold, release } = watched(redis);
    const limits = limiter(executor);
    await limits.consume({ user: ['warm'] });
    hold();
    const first = limits.consume({ user: ['first'] });
    await expect.poll(() => calls.length).toBe(2);
    const others = Array.from({ length: 50 }, async (_, i) => {
      for (let turn = 0; turn < i; turn++) await Promise.resolve();
      return limits.consume({ user: [i] });
    });
    for (let turn = 0; turn < 200; turn++) await Promise.resolve();
    release();
    await Promise.all([first, ...others]);
    expect(calls.map(({ keys }) => keys)).toEqual([1, 1, 50]);
  });

  describe('under a steady load', () => {
    /** Each of `atOnce` callers asks again as soon as it is answered. Time stands still, so that nothing is late. */
    async function callsOf(executor: RedisExecutor, calls: { readonly keys: number }[], atOnce: number) {
      const now = Date.now();
      const limits = createRateLimiter({
        policies: { api: gcra({ limit: 60_000, window: '1m' }) },
        store: redisStore({ redis: executor, namespace }),
        timeout: '10s',
        onUnavailable: 'throw',
        clock: {
          now: () => now,
          setTimeout: (run, ms) => setTimeout(run, ms),
          clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
        },
      });
      const caller = async (_: unknown, id: number): Promise<void> => {
        for (let i = 0; i < 20; i++) await limits.consume({ api: [id] });
      };
      await Promise.all(Array.from({ length: atOnce }, caller));
      for (let id = 0; id < atOnce; id++) {
        // Nothing was lost on the way, and nothing counted twice.
        expect((await limits.peek({ api: [id] })).limits.api.remaining).toBeGreaterThanOrEqual(60_000 - 20);
      }
      return calls.slice(0, -atOnce).map(({ keys }) => keys);
    }

    test('two calls take turns, so that Redis works while this process does', async () => {
      const { executor, calls } = watched(redis);
      const sizes = await callsOf(executor, calls, 64);
      expect(sizes[0]).toBe(64);
      expect(sizes.slice(1, 20)).toEqual(Array(19).fill(32));
    });

    test('few callers share one call each time', async () => {
      const { executor, calls } = watched(redis);
      expect(await callsOf(executor, calls, 20)).toEqual(Array(20).fill(20));
    });

    test('over HTTP there is one call, because each has a price', async () => {
      const { executor, calls } = watched(redis);
      const overHttp = { ...executor, capabilities: { cluster: false, subscribe: false } };
      expect(await callsOf(overHttp, calls, 64)).toEqual(Array(20).fill(64));
    });
  });

  test('checks behind a call that is not answered leave after a few milliseconds without it', async () => {
    const { executor, calls, hold, release } = watched(redis);
    const limits = limiter(executor);
    hold();
    const first = limits.consume({ user: ['first'] });
    await expect.poll(() => calls.length).toBe(1);
    const second = limits.consume({ user: ['second'] });
    await expect.poll(() => calls.length).toBe(2);
    release();
    expect((await first).source).toBe('redis');
    expect((await second).source).toBe('redis');
  });

  test('one key in many checks of one call is counted as often as it is asked', async () => {
    const { executor, calls } = watched(redis);
    const limits = limiter(executor);
    const decisions = await Promise.all(
      Array.from({ length: 64 }, () => limits.consume({ commands: ['d1'] })),
    );
    expect(decisions.filter(({ allowed }) => allowed).length).toBe(10);
    expect(calls.length).toBe(1);
  });

  test('checks of several policies share a call, too', async () => {
    const { executor, calls } = watched(redis);
    const limits = limiter(executor);
    const decisions = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        limits.consume({ user: [i % 10], commands: [i % 5] }, { tenant: 't' }),
      ),
    );
    expect(calls).toEqual([{ keys: 80 }]);
    expect(decisions.filter(({ allowed }) => allowed).length).toBe(30);
  });

  test('one key that Redis refuses fails alone (scenario 25)', async () => {
    const user = `u${namespace}`;
    await raw.call('ACL', 'SETUSER', user, 'on', '>secret', `~${namespace}:l:global:user:g1:good*`, '+@all');
    const url = new URL(inject('redisUrl'));
    const client = new Redis({
      host: url.hostname,
      port: Number(url.port),
      username: user,
      password: 'secret',
      lazyConnect: true,
    });
    const restricted = ioredisExecutor(client, { commandTimeout: '10s' });
    try {
      const limits = limiter(restricted);
      const decisions = await Promise.all(
        Array.from({ length: 64 }, (_, i) => limits.consume({ user: [i === 20 ? 'bad' : `good-${i}`] })),
      );
      const failed = decisions.flatMap(({ unavailable }, i) => (unavailable === undefined ? [] : [i]));
      expect(failed).toEqual([20]);
      expect(decisions[20]?.unavailable?.message).toMatch(/NOPERM/);
      expect(decisions.every(({ limits: { user: status } }) => status.remaining === 2)).toBe(true);
    } finally {
      await restricted.close();
      client.disconnect();
      await raw.call('ACL', 'DELUSER', user);
    }
  });
});

describe('a check that was given up', () => {
  test('is not counted when Redis comes to it later (scenario 19)', async () => {
    const { executor, hold, release } = watched(redis);
    const limits = limiter(executor, 100);
    const other = limiter(redis);
    await expect.poll(async () => (await limits.consume({ api: ['warm'] })).source).toBe('redis');
    hold();
    const decisions = await Promise.all(Array.from({ length: 200 }, () => limits.consume({ user: ['u1'] })));
    expect(decisions.every(({ source }) => source === 'local')).toBe(true);
    release();
    // What was held back has reached Redis when the limiter is answered again.
    await expect.poll(async () => (await limits.consume({ api: ['warm'] })).source).toBe('redis');
    expect((await other.peek({ user: ['u1'] })).limits.user.remaining).toBe(3);
  });

  test('says so, and the next checks are not held up by it', async () => {
    const { executor, hold, release } = watched(redis);
    const limits = limiter(executor, 50);
    await expect.poll(async () => (await limits.consume({ api: ['warm'] })).source).toBe('redis');
    const { fallback, timeouts } = limits.metrics().policies.api;
    const heard: string[] = [];
    limits.on('unavailable', () => heard.push('unavailable'));
    limits.on('available', () => heard.push('available'));
    limits.on('failed', ({ error }) => heard.push(error.code));
    hold();
    const all = await Promise.all(Array.from({ length: 5 }, (_, i) => limits.consume({ user: [i] })));
    expect(all[0]?.unavailable).toMatchObject({ timedOut: true, store: 'redis' });
    const began = performance.now();
    for (let i = 0; i < 100; i++) await limits.consume({ api: [i] });
    // A hundred timeouts would be five seconds.
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(heard.slice(0, 6)).toEqual(['unavailable', ...Array(5).fill('RATE_LIMIT_STORE')]);
    expect(limits.metrics()).toMatchObject({
      available: false,
      policies: { user: { fallback: 5, timeouts: 5 }, api: { fallback: fallback + 100, timeouts } },
    });
    release();
    await expect.poll(async () => (await limits.consume({ api: ['back'] })).source).toBe('redis');
    expect(heard).toContain('available');
    expect(limits.metrics().available).toBe(true);
  });
});

describe('the clock of this process', () => {
  test.each([
    ['set forward an hour', 3_600_000],
    ['set back an hour', -3_600_000],
  ])('%s between checks: nothing is refused, nothing counted twice', async (_what, jumpMs) => {
    let offsetMs = 0;
    const limits = createRateLimiter({
      policies: { user: gcra({ limit: 30, window: '1h' }) },
      store: redisStore({ redis, namespace }),
      timeout: '10s',
      onUnavailable: 'throw',
      clock: {
        now: () => Date.now() + offsetMs,
        setTimeout: (run, ms) => setTimeout(run, ms),
        clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
      },
    });
    for (let i = 0; i < 20; i++) {
      if (i === 10) offsetMs = jumpMs;
      const decision = await limits.consume({ user: ['u1'] });
      expect(decision).toMatchObject({
        allowed: true,
        source: 'redis',
        limits: { user: { remaining: 29 - i } },
      });
    }
  });
});
