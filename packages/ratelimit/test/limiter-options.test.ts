import { FakeClock } from '@cachekit/core/testing';
import { describe, expect, test } from 'vitest';
import {
  concurrency,
  createRateLimiter,
  fixedWindow,
  gcra,
  getRateLimiter,
  type LimitStore,
  memoryStore,
  rateLimitOpenMetrics,
  slidingWindow,
} from '../src/index.ts';

const policies = { api: gcra({ limit: 8, window: '1m' }), few: fixedWindow({ limit: 2, window: '1m' }) };
const down: LimitStore = {
  ...memoryStore(),
  name: 'redis',
  open: () => ({
    check: () => Promise.reject(new Error('refused')),
    block: () => Promise.reject(new Error('refused')),
    reset: () => Promise.reject(new Error('refused')),
  }),
};

/** A memory store whose corrections fail for as long as `refuses` says so. */
function storeThatRefuses(refuses: (key: string) => boolean): LimitStore {
  const store = memoryStore();
  return {
    ...store,
    open(context) {
      const session = store.open(context);
      const check: typeof session.check = (request) => {
        const corrects = request.mode === 'give' || request.mode === 'force';
        if (corrects && request.keys.some(refuses)) throw new Error('refused');
        return session.check(request);
      };
      return { ...session, check };
    },
  };
}

test.each([5, 3, undefined])(
  'a reservation whose estimate took the whole share of this process is not taken twice by commit(%j)',
  async (cost) => {
    const clock = new FakeClock();
    const limits = createRateLimiter({ policies, store: down, instances: 4, clock });
    const reservation = await limits.reserve({ api: ['u1'] }, { cost: 5 });
    expect(reservation.decision).toMatchObject({ allowed: true, source: 'local' });
    const taken = await limits.peek({ api: ['u1'] });
    await reservation.commit(cost);
    expect((await limits.peek({ api: ['u1'] })).limits).toEqual(taken.limits);
    const other = await limits.reserve({ few: ['u1'] }, { cost: 2 });
    await other.cancel();
    expect((await limits.peek({ few: ['u1'] })).limits.few.remaining).toBe(1);
  },
);

describe('a reservation whose correction the store refused', () => {
  test('is corrected by the next commit(), and only once', async () => {
    let refusing = true;
    const store = storeThatRefuses(() => refusing);
    const limits = createRateLimiter({ policies, store, clock: new FakeClock() });
    const left = async () => (await limits.peek({ api: ['u1'] })).limits.api.remaining;
    for (const [estimate, cost] of [
      [6, 1],
      [1, 4],
    ] as const) {
      const before = (await left()) as number;
      const reservation = await limits.reserve({ api: ['u1'] }, { cost: estimate });
      refusing = true;
      for (let i = 0; i < 2; i++) {
        await expect(reservation.commit(cost)).rejects.toMatchObject({ code: 'RATE_LIMIT_STORE' });
        expect(await left()).toBe(before - estimate);
      }
      refusing = false;
      await reservation.commit(cost);
      expect(await left()).toBe(before - cost);
      await reservation.commit(8);
      await reservation.cancel();
      expect(await left()).toBe(before - cost);
    }
  });

  test('does next what is not done yet, policy by policy, and may be cancelled instead', async () => {
    let refused = ':few:';
    const store = storeThatRefuses((key) => key.includes(refused));
    const limits = createRateLimiter({
      policies: { ...policies, slots: concurrency({ limit: 3, lease: '1h' }) },
      store,
      clock: new FakeClock(),
    });
    const ids = { api: ['u1'], few: ['u1'], slots: ['u1'] };
    const left = async () => Object.values((await limits.peek(ids)).limits).map(({ remaining }) => remaining);
    const other = await limits.reserve({ slots: ['u1'], api: ['u1'] });
    const reservation = await limits.reserve(ids, { cost: 2 });
    expect(await left()).toEqual([5, 0, 0]);
    await expect(reservation.commit(1)).rejects.toMatchObject({ code: 'RATE_LIMIT_STORE' });
    expect(await left()).toEqual([6, 0, 2]);
    refused = 'nothing';
    await reservation.cancel();
    expect(await left()).toEqual([6, 2, 2]);
    await other.cancel();
    expect(await left()).toEqual([7, 2, 3]);
  });

  test('is asked once by those who settle it at the same moment, and tells all of them', async () => {
    let refusing = true;
    const asked: string[] = [];
    const store = storeThatRefuses((key) => {
      asked.push(key);
      return refusing;
    });
    const limits = createRateLimiter({ policies, store, clock: new FakeClock() });
    const reservation = await limits.reserve({ api: ['u1'] }, { cost: 6 });
    const outcomes = await Promise.allSettled([reservation.commit(2), reservation.commit(2)]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(asked).toHaveLength(1);
    refusing = false;
    await Promise.all([reservation.commit(2), reservation.cancel()]);
    expect(asked).toHaveLength(2);
    expect((await limits.peek({ api: ['u1'] })).limits.api.remaining).toBe(6);
  });
});

describe('the local fallback', () => {
  test('lets limit / instances pass, and at least one', async () => {
    const limits = createRateLimiter({ policies, store: down, instances: 4, clock: new FakeClock() });
    const passed = async (name: 'api' | 'few') => {
      let count = 0;
      for (let i = 0; i < 10; i++) if ((await limits.consume({ [name]: ['u1'] } as never)).allowed) count++;
      return count;
    };
    expect(await passed('api')).toBe(2);
    expect(await passed('few')).toBe(1);
    expect((await limits.consume({ api: ['somebody else'] })).allowed).toBe(true);
  });

  test('a cost above the share, but not above the limit, takes the whole share', async () => {
    const limits = createRateLimiter({ policies, store: down, instances: 4, clock: new FakeClock() });
    expect(await limits.consume({ api: ['u1'] }, { cost: 7 })).toMatchObject({
      allowed: true,
      source: 'local',
    });
    expect((await limits.consume({ api: ['u1'] })).allowed).toBe(false);
    expect(await limits.consume({ api: ['u2'] }, { cost: 9 })).toMatchObject({
      allowed: false,
      reason: 'cost-exceeds-limit',
    });
  });

  test('reservations that were taken here are given back here', async () => {
    const limits = createRateLimiter({ policies, store: down, clock: new FakeClock() });
    const reservation = await limits.reserve({ api: ['u1'] }, { cost: 8 });
    expect(reservation.decision).toMatchObject({ allowed: true, source: 'local' });
    expect((await limits.peek({ api: ['u1'] })).limits.api.remaining).toBe(0);
    await reservation.commit(3);
    expect((await limits.peek({ api: ['u1'] })).limits.api.remaining).toBe(5);
  });

  test('what somebody asks for and the store did not do is told: refund, block and reset reject', async () => {
    const limits = createRateLimiter({ policies, store: down, clock: new FakeClock() });
    const failure = expect.objectContaining({ code: 'RATE_LIMIT_STORE' });
    await expect(limits.refund({ api: ['u1'] })).rejects.toEqual(failure);
    await expect(limits.block({ api: ['u1'] }, { duration: '1m', reason: 'r' })).rejects.toEqual(failure);
    // But this process keeps to it.
    expect(await limits.consume({ api: ['u1'] })).toMatchObject({ allowed: false, source: 'local' });
    await expect(limits.reset({ api: ['u1'] })).rejects.toEqual(failure);
    expect((await limits.consume({ api: ['u1'] })).allowed).toBe(true);
  });

  test.each([0, -1, 1.5, Number.NaN, '4'])('refuses %s instances', (instances) => {
    expect(() => createRateLimiter({ policies, store: down, instances: instances as number })).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
    );
  });
});

describe('allow and deny', () => {
  test('decide before anything is counted, and deny wins', async () => {
    const limits = createRateLimiter({
      policies,
      store: memoryStore(),
      allow: ({ ids }) => ids.few?.[0] === 'monitor',
      deny: ({ tenant }) => tenant === 'banned',
    });
    for (let i = 0; i < 5; i++) {
      expect(await limits.consume({ few: ['monitor'] })).toMatchObject({ allowed: true, source: 'allow' });
    }
    expect((await limits.peek({ few: ['monitor'] })).source).toBe('allow');
    expect(await limits.consume({ few: ['monitor'] }, { tenant: 'banned' })).toMatchObject({
      allowed: false,
      source: 'deny',
      reason: 'denied',
      retryAfterMs: Number.POSITIVE_INFINITY,
    });
    const reservation = await limits.reserve({ few: ['monitor'] });
    await reservation.commit(2);
    expect((await limits.consume({ few: ['u1'] })).limits.few.remaining).toBe(1);
  });

  test.each(['allow', 'deny'] as const)(
    'a promise is no answer of %s: it would deny nobody',
    async (name) => {
      const later = { [name]: async () => true } as never;
      const limits = createRateLimiter({ policies, store: memoryStore(), ...(later as object) });
      await expect(limits.consume({ few: ['u1'] })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    },
  );

  test('bad input is refused before they are asked', async () => {
    const limits = createRateLimiter({ policies, store: memoryStore(), allow: () => true });
    await expect(limits.consume({ few: [''] })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(() => createRateLimiter({ policies, store: memoryStore(), deny: ['u1'] as never })).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
    );
  });
});

describe('bad input of the other verbs', () => {
  const limits = createRateLimiter({ policies, store: memoryStore() });
  test.each<[string, () => Promise<unknown>]>([
    ['peek: a cost of 0', () => limits.peek({ api: ['u1'] }, { cost: 0 })],
    ['refund: a negative cost', () => limits.refund({ api: ['u1'] }, { cost: -1 })],
    ['reserve: no id', () => limits.reserve({ api: [] })],
    ['wait: a duration that is none', () => limits.wait({ api: ['u1'] }, { maxWait: '10x' as never })],
    ['wait: an option that is none', () => limits.wait({ api: ['u1'] }, { maxWaitMs: 1 } as never)],
    ['block: no duration', () => limits.block({ api: ['u1'] }, { reason: 'r' } as never)],
    ['block: a duration of 0', () => limits.block({ api: ['u1'] }, { duration: 0, reason: 'r' })],
    ['block: longer than 366 days', () => limits.block({ api: ['u1'] }, { duration: '367d', reason: 'r' })],
    ['block: no reason', () => limits.block({ api: ['u1'] }, { duration: 1, reason: '' })],
    [
      'block: a reason that is too long',
      () => limits.block({ api: ['u1'] }, { duration: 1, reason: 'x'.repeat(101) }),
    ],
    ['block: a broken reason', () => limits.block({ api: ['u1'] }, { duration: 1, reason: '\ud800' })],
    ['block: no options', () => limits.block({ api: ['u1'] }, undefined as never)],
    ['reset: an unknown policy', () => limits.reset({ nope: ['u1'] } as never)],
    ['options that are null', () => limits.consume({ api: ['u1'] }, null as never)],
    ['options that are a number', () => limits.refund({ api: ['u1'] }, 5 as never)],
    ['limits of a policy that is not asked', () => limits.consume({ api: ['u1'] }, { limits: { few: 3 } })],
    ['limits that are none', () => limits.consume({ api: ['u1'] }, { limits: { api: 0 } })],
    ['limits that are too much', () => limits.consume({ api: ['u1'] }, { limits: { api: 2 ** 50 } })],
  ])('%s is refused', async (_what, call) => {
    await expect(call()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  test('a log of tokens is bounded, and says what to take instead', () => {
    expect(() => slidingWindow({ limit: 4_097, window: '1m' })).toThrow(
      /at most 4096; for more take gcra\(\)/,
    );
    expect(() => slidingWindow({ limit: 1, window: '25d' })).toThrow(/at most 24 days/);
    expect(() => concurrency({ limit: 1, lease: '25d' })).toThrow(/lease.*at most 24 days/);
    expect(() => concurrency({ limit: 1, lease: 0 })).toThrow(/lease/);
    expect(() => fixedWindow({ limit: 1, window: 1, anchor: 'midnight' as never })).toThrow(/anchor/);
    expect(() => gcra({ limit: 1, window: 1, shadow: 1 as never })).toThrow(/shadow/);
    const logs = createRateLimiter({
      policies: { strict: slidingWindow({ limit: 1, window: 1 }) },
      store: memoryStore(),
    });
    return expect(logs.consume({ strict: ['u1'] }, { limits: { strict: 5_000 } })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});

describe('what can be seen', () => {
  test('counters per policy, as OpenMetrics text, and from zero after a reset', async () => {
    const limits = createRateLimiter({ policies, store: memoryStore(), clock: new FakeClock() });
    for (let i = 0; i < 3; i++) await limits.consume({ few: ['u1'] });
    expect(limits.metrics()).toEqual({
      available: true,
      policies: {
        api: { allowed: 0, denied: 0, shadowed: 0, fallback: 0, timeouts: 0, denyCacheHits: 0 },
        few: { allowed: 2, denied: 1, shadowed: 0, fallback: 0, timeouts: 0, denyCacheHits: 0 },
      },
    });
    const text = rateLimitOpenMetrics(limits.metrics());
    expect(text).toContain('# TYPE cachekit_ratelimit_denied counter\n');
    expect(text).toContain('cachekit_ratelimit_denied_total{policy="few"} 1\n');
    expect(text).toContain('cachekit_ratelimit_store_available 1\n');
    expect(text.endsWith('# EOF\n')).toBe(true);
    const line = /^(# (TYPE|HELP) [a-z_]+ .+|# EOF|[a-z_]+(\{policy="[A-Za-z0-9_-]+"\})? \d+)$/;
    for (const each of text.trimEnd().split('\n')) expect(each).toMatch(line);
    limits.resetMetrics();
    expect(limits.metrics().policies.few).toMatchObject({ allowed: 0, denied: 0 });
  });

  test('a denial is told to who listens, and a listener that throws or has left changes nothing', async () => {
    const limits = createRateLimiter({ policies, store: memoryStore(), clock: new FakeClock() });
    const heard: string[] = [];
    const listener = ({ decision }: { decision: { violated: readonly string[] } }) => {
      heard.push(...decision.violated);
      throw new Error('a bug of the listener');
    };
    limits.on('denied', listener);
    for (let i = 0; i < 3; i++) await limits.consume({ few: ['u1'] });
    limits.off('denied', listener);
    await limits.consume({ few: ['u1'] });
    expect(heard).toEqual(['few']);
  });

  test('RC-2: getRateLimiter() gives one policy in the shape of @upstash/ratelimit, or null', async () => {
    expect(getRateLimiter(undefined, 'api')).toBeNull();
    const simple = getRateLimiter(createRateLimiter({ policies, store: memoryStore() }), 'few');
    const results = [await simple?.limit('u1'), await simple?.limit('u1'), await simple?.limit('u1')];
    expect(results.map((result) => [result?.success, result?.limit, result?.remaining])).toEqual([
      [true, 2, 1],
      [true, 2, 0],
      [false, 2, 0],
    ]);
    expect(Math.abs((results[2]?.reset ?? 0) - Date.now() - 60_000)).toBeLessThan(5_000);
    expect(() =>
      getRateLimiter(createRateLimiter({ policies, store: memoryStore() }), 'nope' as never),
    ).toThrow(expect.objectContaining({ code: 'INVALID_CONFIGURATION' }));
  });
});
