import { isCacheKitError } from '@cachekit/core';
import { FakeClock } from '@cachekit/core/testing';
import { describe, expect, test } from 'vitest';
import {
  createRateLimiter,
  fixedWindow,
  gcra,
  type LimitStore,
  memoryStore,
  type OnUnavailable,
  RateLimitStoreError,
  type StoreAnswer,
} from '../src/index.ts';

const policies = {
  user: gcra({ limit: 3, window: '1m' }),
  tenant: fixedWindow({ limit: 10, window: '1m' }),
};

function limiter(clock = new FakeClock()) {
  return createRateLimiter({ policies, store: memoryStore(), clock });
}

describe('consume()', () => {
  test('says how every policy stands and who decided', async () => {
    expect(await limiter().consume({ user: ['u1'], tenant: ['t1'] }, { cost: 2 })).toEqual({
      allowed: true,
      limits: {
        user: { limit: 3, windowMs: 60_000, remaining: 1, resetMs: 40_000, retryAfterMs: 0 },
        tenant: { limit: 10, windowMs: 60_000, remaining: 8, resetMs: 60_000, retryAfterMs: 0 },
      },
      retryAfterMs: 0,
      violated: [],
      shadowed: [],
      source: 'memory',
      atomic: true,
    });
  });

  test('takes from all policies or from none, in whatever order they are named', async () => {
    for (const order of [
      ['user', 'tenant'],
      ['tenant', 'user'],
    ] as const) {
      const limits = limiter();
      const ask = (user: string) =>
        limits.consume(
          Object.fromEntries(order.map((name) => [name, name === 'user' ? [user] : ['t1']])) as Record<
            'user' | 'tenant',
            string[]
          >,
        );
      for (let i = 0; i < 20; i++) await ask('noisy');
      const denied = await ask('noisy');
      expect(denied).toMatchObject({ allowed: false, violated: ['user'] });
      expect(denied.limits.tenant).toMatchObject({ remaining: 7, retryAfterMs: 0 });
      for (const quiet of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) expect((await ask(quiet)).allowed).toBe(true);
      expect(await ask('h')).toMatchObject({ allowed: false, violated: ['tenant'], retryAfterMs: 60_000 });
    }
  });

  test('names every policy that said no, with the longest of their waits', async () => {
    const limits = limiter();
    await limits.consume({ tenant: ['t1'] }, { cost: 10 });
    await limits.consume({ user: ['u1'] }, { cost: 3 });
    expect(await limits.consume({ user: ['u1'], tenant: ['t1'] })).toMatchObject({
      violated: ['user', 'tenant'],
      retryAfterMs: 60_000,
    });
  });

  test('waiting exactly retryAfterMs lets the same request pass, over several policies', async () => {
    const clock = new FakeClock();
    const limits = limiter(clock);
    const ask = () => limits.consume({ user: ['u1'], tenant: ['t1'] }, { cost: 2 });
    for (let passed = 0; passed < 12; ) {
      const decision = await ask();
      if (decision.allowed) {
        passed++;
        continue;
      }
      await clock.advance(decision.retryAfterMs - 1);
      expect((await ask()).allowed).toBe(false);
      await clock.advance(1);
      expect((await ask()).allowed).toBe(true);
      passed++;
    }
  });

  test('a cost above a limit is denied for ever and takes nothing', async () => {
    const limits = limiter();
    expect(await limits.consume({ user: ['u1'], tenant: ['t1'] }, { cost: 4 })).toMatchObject({
      allowed: false,
      retryAfterMs: Number.POSITIVE_INFINITY,
      violated: ['user'],
      limits: { user: { remaining: 3 }, tenant: { remaining: 10 } },
    });
    expect((await limits.consume({ user: ['u1'] }, { cost: 3 })).allowed).toBe(true);
  });

  test('the same id under another tenant, another policy or no tenant is counted apart', async () => {
    const limits = limiter();
    await limits.consume({ user: ['u1'] }, { tenant: 'a', cost: 3 });
    expect((await limits.consume({ user: ['u1'] }, { tenant: 'b' })).allowed).toBe(true);
    expect((await limits.consume({ user: ['u1'] })).allowed).toBe(true);
    expect((await limits.consume({ tenant: ['u1'] }, { tenant: 'a' })).allowed).toBe(true);
    expect((await limits.consume({ user: ['u1'] }, { tenant: 'a' })).allowed).toBe(false);
  });

  test('with a tenant, no parts count the tenant as a whole', async () => {
    const limits = limiter();
    await limits.consume({ tenant: [] }, { tenant: 'a', cost: 10 });
    expect((await limits.consume({ tenant: [] }, { tenant: 'a' })).allowed).toBe(false);
    expect((await limits.consume({ tenant: [] }, { tenant: 'b' })).allowed).toBe(true);
  });

  test.each<[string, unknown, unknown]>([
    ['no policy', {}, undefined],
    ['no ids', undefined, undefined],
    ['an unknown policy', { nope: ['u1'] }, undefined],
    ['a policy of the prototype', { constructor: ['u1'] }, undefined],
    ['no parts and no tenant', { user: [] }, undefined],
    ['an id that is no list', { user: 'u1' }, undefined],
    ['an empty id', { user: [''] }, undefined],
    ['an id that is undefined', { user: [undefined] }, undefined],
    ['an empty tenant', { user: ['u1'] }, { tenant: '' }],
    ['a tenant that is too long', { user: ['u1'] }, { tenant: 'x'.repeat(129) }],
    ['a cost of 0', { user: ['u1'] }, { cost: 0 }],
    ['a negative cost', { user: ['u1'] }, { cost: -1 }],
    ['a cost that is NaN', { user: ['u1'] }, { cost: Number.NaN }],
    ['an infinite cost', { user: ['u1'] }, { cost: Number.POSITIVE_INFINITY }],
    ['a fractional cost', { user: ['u1'] }, { cost: 0.5 }],
    ['a huge cost', { user: ['u1'] }, { cost: 2 ** 53 }],
    ['a cost that is text', { user: ['u1'] }, { cost: '1' }],
    ['an unknown option', { user: ['u1'] }, { costs: 1 }],
  ])('rejects %s before the store is asked', async (_what, ids, options) => {
    let asked = 0;
    const store = { ...memoryStore(), open: () => ({ check: () => asked++ }) } as unknown as LimitStore;
    const limits = createRateLimiter({ policies, store });
    await expect(limits.consume(ids as never, options as never)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    expect(asked).toBe(0);
  });
});

describe('createRateLimiter()', () => {
  const store = memoryStore();

  test.each<[string, unknown]>([
    ['no policies', { policies: {}, store }],
    ['a policy that is none', { policies: { api: { limit: 1, windowMs: 1 } }, store }],
    ['a name with a quote', { policies: { 'a"b': policies.user }, store }],
    ['a name with a separator', { policies: { 'a:b': policies.user }, store }],
    ['no store', { policies }],
    ['a timeout that is none', { policies, store, timeout: '10x' }],
    ['an answer to failure that is none', { policies, store, onUnavailable: 'maybe' }],
    ['an unknown option', { policies, store, prefix: 'x' }],
  ])('refuses %s', (_what, options) => {
    expect(() => createRateLimiter(options as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
    );
  });
});

describe('when the store is unavailable', () => {
  const failure = new Error('connection refused');
  function storeThat(check: () => StoreAnswer | Promise<StoreAnswer>): LimitStore {
    return {
      name: 'redis',
      namespace: 'ck',
      open: () => ({ check, block: () => {}, reset: () => {} }),
    };
  }
  const failing = storeThat(() => Promise.reject(failure));
  const throwing = storeThat(() => {
    throw failure;
  });

  test.each([
    ['rejects', failing],
    ['throws', throwing],
  ])('local: a store that %s is replaced by counting in this process', async (_how, store) => {
    const limits = createRateLimiter({ policies, store, clock: new FakeClock() });
    const decisions = [];
    for (let i = 0; i < 4; i++) decisions.push(await limits.consume({ user: ['attacker'] }));
    expect(decisions.map(({ allowed }) => allowed)).toEqual([true, true, true, false]);
    expect(decisions[3]).toMatchObject({ source: 'local', violated: ['user'], retryAfterMs: 20_000 });
    expect(decisions[3]?.unavailable).toBeInstanceOf(RateLimitStoreError);
    expect(decisions[3]?.unavailable).toMatchObject({ store: 'redis', cause: failure });
    expect(await limits.consume({ user: ['somebody else'] })).toMatchObject({
      allowed: true,
      source: 'local',
    });
  });

  test.each<[OnUnavailable, boolean, number]>([
    ['open', true, 0],
    ['closed', false, 1_000],
  ])(
    '%s: allowed is %s, and nothing is made up about what remains',
    async (onUnavailable, allowed, retryAfterMs) => {
      const limits = createRateLimiter({ policies, store: failing, onUnavailable });
      const decision = await limits.consume({ user: ['u1'] });
      expect(decision).toMatchObject({ allowed, source: onUnavailable, violated: [], retryAfterMs });
      expect(decision.limits.user).toEqual({
        limit: 3,
        windowMs: 60_000,
        remaining: undefined,
        resetMs: undefined,
        retryAfterMs,
      });
    },
  );

  test('throw: the check rejects with RateLimitStoreError, which carries the error of the client', async () => {
    const limits = createRateLimiter({ policies, store: failing, onUnavailable: 'throw' });
    const error = await limits.consume({ user: ['u1'] }).catch((reason: unknown) => reason);
    expect(isCacheKitError(error, 'RATE_LIMIT_STORE')).toBe(true);
    expect(error).toMatchObject({ cause: failure, store: 'redis' });
  });
});
