import { FakeClock } from '@cachekit/core/testing';
import { describe, expect, test } from 'vitest';
import { createRateLimiter, fixedWindow, gcra, memoryStore } from '../src/index.ts';

const policies = { api: gcra({ limit: 4, window: '1m' }) };

describe('memoryStore()', () => {
  test('a flood of new ids does not free an id that is at its limit', async () => {
    const limiter = createRateLimiter({
      policies,
      store: memoryStore({ maxKeys: 100 }),
      clock: new FakeClock(),
    });
    await limiter.consume({ api: ['blocked'] }, { cost: 4 });
    for (let i = 0; i < 5_000; i++) await limiter.consume({ api: [`flood ${i}`] });
    expect((await limiter.consume({ api: ['blocked'] })).allowed).toBe(false);
  });

  test('a flood of new ids does not free an id that somebody blocked', async () => {
    const limiter = createRateLimiter({
      policies: { api: policies.api, window: fixedWindow({ limit: 4, window: '1m' }) },
      store: memoryStore({ maxKeys: 100 }),
      clock: new FakeClock(),
    });
    await limiter.block({ api: ['blocked'], window: ['blocked'] }, { duration: '1h', reason: 'abuse' });
    for (let i = 0; i < 5_000; i++) await limiter.consume({ api: [`flood ${i}`], window: [`flood ${i}`] });
    expect((await limiter.consume({ api: ['blocked'] })).reason).toBe('blocked');
    expect((await limiter.consume({ window: ['blocked'] })).reason).toBe('blocked');
  });

  if (process.env.CACHEKIT_LONG) {
    test('ten million ids take no more memory than the keys it may hold', async () => {
      const limiter = createRateLimiter({ policies, store: memoryStore({ maxKeys: 10_000 }) });
      const before = process.memoryUsage().heapUsed;
      for (let i = 0; i < 10_000_000; i++) await limiter.consume({ api: [i] });
      expect(process.memoryUsage().heapUsed - before).toBeLessThan(200 * 1024 * 1024);
    }, 300_000);
  }

  test('it forgets the keys that are furthest from their limit first', async () => {
    const limiter = createRateLimiter({
      policies,
      store: memoryStore({ maxKeys: 16 }),
      clock: new FakeClock(),
    });
    for (let i = 0; i < 8; i++) await limiter.consume({ api: [`busy ${i}`] }, { cost: 3 });
    for (let i = 0; i < 100; i++) await limiter.consume({ api: [`idle ${i}`] });
    for (let i = 0; i < 8; i++) {
      const { limits } = await limiter.consume({ api: [`busy ${i}`] });
      expect(limits.api.remaining).toBe(0);
    }
  });

  test('it never holds more than maxKeys, also when every id is at its limit', async () => {
    const clock = new FakeClock();
    const limiter = createRateLimiter({
      policies: { once: fixedWindow({ limit: 1, window: '1m' }) },
      store: memoryStore({ maxKeys: 50 }),
      clock,
    });
    for (let i = 0; i < 1_000; i++) await limiter.consume({ once: [i] });
    let held = 0;
    for (let i = 0; i < 1_000; i++)
      if (!(await limiter.consume({ once: [i] }, { cost: 2 })).limits.once.remaining) held++;
    expect(held).toBeGreaterThan(40);
    expect(held).toBeLessThanOrEqual(50);
  });

  test('what has run out is forgotten before anything else', async () => {
    const clock = new FakeClock();
    const limiter = createRateLimiter({
      policies: {
        short: fixedWindow({ limit: 1, window: '1s' }),
        long: fixedWindow({ limit: 2, window: '1h' }),
      },
      store: memoryStore({ maxKeys: 20 }),
      clock,
    });
    await limiter.consume({ long: ['kept'] });
    for (let i = 0; i < 19; i++) await limiter.consume({ short: [i] });
    await clock.advance(1_000);
    for (let i = 0; i < 15; i++) await limiter.consume({ long: [`new ${i}`] });
    expect((await limiter.consume({ long: ['kept'] })).limits.long.remaining).toBe(0);
  });

  test('a clock that is set back an hour delays nobody by more than a window', async () => {
    const clock = new FakeClock();
    const limiter = createRateLimiter({ policies, store: memoryStore(), clock });
    await limiter.consume({ api: ['u1'] }, { cost: 4 });
    await clock.advance(-3_600_000);
    const denied = await limiter.consume({ api: ['u1'] });
    expect(denied.retryAfterMs).toBeLessThanOrEqual(60_000);
    await clock.advance(denied.retryAfterMs);
    expect((await limiter.consume({ api: ['u1'] })).allowed).toBe(true);
  });

  test.each([0, -1, 1.5, Number.NaN, '9'])('refuses maxKeys %s', (maxKeys) => {
    expect(() => memoryStore({ maxKeys: maxKeys as number })).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
    );
  });
});
