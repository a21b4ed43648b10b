import { FakeClock } from '@cachekit/core/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  createRateLimiter,
  fixedWindow,
  gcra,
  type LimitStore,
  memoryStore,
  rateLimitHeaders,
  spreadTimes,
  tooManyRequests,
} from '../src/index.ts';
import { parseItems } from './structured-fields.ts';

const policies = {
  burst: gcra({ limit: 4, window: '10s' }),
  daily: fixedWindow({ limit: 1_000, window: '1d' }),
  fine: gcra({ limit: 2, window: 1_500 }),
};

function limiter(clock = new FakeClock()) {
  return createRateLimiter({ policies, store: memoryStore(), clock });
}

function failingStore(): LimitStore {
  const check = () => Promise.reject(new Error('down'));
  return { ...memoryStore(), open: () => ({ check, block: () => {}, reset: () => {} }) };
}

describe('rateLimitHeaders()', () => {
  test('RC-4: an allowed request hears the quotas, what remains, and when all of it is back', async () => {
    const decision = await limiter().consume({ burst: ['u1'], daily: ['u1'] });
    expect(rateLimitHeaders(decision)).toEqual({
      'RateLimit-Policy': '"burst";q=4;w=10, "daily";q=1000;w=86400',
      RateLimit: '"burst";r=3;t=3, "daily";r=999;t=86400',
      'X-RateLimit-Limit': '4',
      'X-RateLimit-Remaining': '3',
      'X-RateLimit-Reset': '3',
    });
  });

  test('RC-4: a denied request hears when to come back', async () => {
    const limits = limiter();
    await limits.consume({ burst: ['u1'] }, { cost: 4 });
    const decision = await limits.consume({ burst: ['u1'], daily: ['u1'] });
    expect(rateLimitHeaders(decision)).toEqual({
      'RateLimit-Policy': '"burst";q=4;w=10, "daily";q=1000;w=86400',
      RateLimit: '"burst";r=0;t=3, "daily";r=1000',
      'X-RateLimit-Limit': '4',
      'X-RateLimit-Remaining': '0',
      'X-RateLimit-Reset': '10',
      'Retry-After': '3',
    });
  });

  test('the older fields speak of the policy that binds', async () => {
    const limits = limiter();
    await limits.consume({ daily: ['u1'] }, { cost: 999 });
    const decision = await limits.consume({ burst: ['u2'], daily: ['u1'] });
    expect(rateLimitHeaders(decision, 'legacy')).toMatchObject({
      'X-RateLimit-Limit': '1000',
      'X-RateLimit-Remaining': '0',
    });
    const denied = await limits.consume({ burst: ['u2'], daily: ['u1'] });
    expect(rateLimitHeaders(denied, 'legacy')).toMatchObject({
      'X-RateLimit-Limit': '1000',
      'Retry-After': '86400',
    });
  });

  test('each family of fields can be had alone', async () => {
    const decision = await limiter().consume({ burst: ['u1'] });
    expect(Object.keys(rateLimitHeaders(decision, 'ietf'))).toEqual(['RateLimit-Policy', 'RateLimit']);
    expect(Object.keys(rateLimitHeaders(decision, 'legacy')).every((name) => name.startsWith('X-'))).toBe(
      true,
    );
  });

  test('a window that is no whole number of seconds is not advertised as one', async () => {
    const decision = await limiter().consume({ fine: ['u1'] });
    expect(rateLimitHeaders(decision, 'ietf')['RateLimit-Policy']).toBe('"fine";q=2');
  });

  test('a request that can never pass hears no Retry-After', async () => {
    const headers = rateLimitHeaders(await limiter().consume({ burst: ['u1'] }, { cost: 5 }));
    expect(headers).not.toHaveProperty('Retry-After');
    expect(headers.RateLimit).toBe('"burst";r=4');
  });

  test('nothing is said about what remains when nobody counted', async () => {
    const store = failingStore();
    const open = createRateLimiter({ policies, store, onUnavailable: 'open' });
    expect(rateLimitHeaders(await open.consume({ burst: ['u1'] }))).toEqual({
      'RateLimit-Policy': '"burst";q=4;w=10',
      'X-RateLimit-Limit': '4',
    });
  });

  test('RC-4: waiting for Retry-After lets the same request pass; every field is a structured list', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({ gap: fc.integer({ min: 0, max: 4_000 }), cost: fc.integer({ min: 1, max: 4 }) }),
          {
            minLength: 1,
            maxLength: 30,
          },
        ),
        async (calls) => {
          const clock = new FakeClock();
          const limits = limiter(clock);
          for (const { gap, cost } of calls) {
            await clock.advance(gap);
            const ask = () => limits.consume({ burst: ['u1'], daily: ['u1'] }, { cost });
            const decision = await ask();
            const headers = rateLimitHeaders(decision);
            const policyItems = parseItems(headers['RateLimit-Policy'] ?? '');
            const items = parseItems(headers.RateLimit ?? '');
            expect(items.map(({ name }) => name)).toEqual(policyItems.map(({ name }) => name));
            if (decision.allowed) {
              expect(headers).not.toHaveProperty('Retry-After');
              continue;
            }
            const retryAfter = Number(headers['Retry-After']);
            for (const { parameters } of items) expect(parameters.t ?? 0).toBeLessThanOrEqual(retryAfter);
            await clock.advance(retryAfter * 1_000);
            expect((await ask()).allowed).toBe(true);
          }
        },
      ),
    );
  });
});

describe('spreadTimes()', () => {
  test('those who were denied together are told different times, none too short, and what never passes still never does', async () => {
    const clock = new FakeClock();
    const limits = limiter(clock);
    await limits.consume({ burst: ['u1'] }, { cost: 4 });
    const decision = await limits.consume({ burst: ['u1'], daily: ['u1'] });
    const told = [0, 0.25, 0.5, 1].map((random) => {
      const headers = rateLimitHeaders(spreadTimes(decision, 60_000, () => random));
      expect(parseItems(headers.RateLimit ?? '')[0]?.parameters.t).toBe(Number(headers['Retry-After']));
      return Number(headers['Retry-After']);
    });
    expect(told).toEqual([3, 18, 33, 63]);
    await clock.advance(spreadTimes(decision, 60_000, () => 0.001).retryAfterMs);
    expect((await limits.consume({ burst: ['u1'], daily: ['u1'] })).allowed).toBe(true);

    const never = await limits.consume({ burst: ['u1'] }, { cost: 5 });
    expect(spreadTimes(never, 60_000).retryAfterMs).toBe(Number.POSITIVE_INFINITY);
    const passed = await limits.consume({ daily: ['u2'] });
    expect(spreadTimes(passed, 60_000)).toMatchObject({ allowed: true, retryAfterMs: 0 });
  });
});

describe('tooManyRequests()', () => {
  test('RC-4: 429 with a problem document that names the policies and nobody else', async () => {
    const limits = limiter();
    await limits.consume({ burst: ['secret-user'] }, { cost: 4 });
    const { status, headers, body } = tooManyRequests(
      await limits.consume({ burst: ['secret-user'], daily: ['x'] }),
    );
    expect(status).toBe(429);
    expect(headers).toMatchObject({
      'Content-Type': 'application/problem+json',
      'Cache-Control': 'no-store',
      'Retry-After': '3',
      RateLimit: '"burst";r=0;t=3, "daily";r=1000',
    });
    expect(JSON.parse(body)).toEqual({
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      title: 'Too many requests',
      status: 429,
      detail: 'The same request can pass in 3 s.',
      'violated-policies': ['burst'],
    });
    expect(body).not.toContain('secret-user');
  });

  test('a request that can never pass is told so', async () => {
    const { body } = tooManyRequests(await limiter().consume({ burst: ['u1'] }, { cost: 5 }));
    expect(JSON.parse(body).detail).toMatch(/never/);
  });

  test('503 when it was denied because nobody could count', async () => {
    const store = failingStore();
    const closed = createRateLimiter({ policies, store, onUnavailable: 'closed' });
    const { status, headers, body } = tooManyRequests(await closed.consume({ burst: ['u1'] }));
    expect(status).toBe(503);
    expect(headers['Retry-After']).toBe('1');
    expect(JSON.parse(body)).toMatchObject({
      type: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
      'violated-policies': [],
    });
  });
});
