import { uniqueNamespace } from '@cachekit/services/vitest';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { createRateLimiter, fixedWindow, gcra, redisStore } from '../../src/index.ts';
import { connect } from './connection.ts';

const { redis, raw } = connect();
const other = connect();

let namespace: string;
beforeEach(() => {
  namespace = uniqueNamespace();
});

const policies = {
  user: gcra({ limit: 3, window: '1m' }),
  thirds: gcra({ limit: 7, window: '1m' }),
  commands: fixedWindow({ limit: 10, window: '60s' }),
};

function limiter(executor = redis) {
  return createRateLimiter({
    policies,
    store: redisStore({ redis: executor, namespace }),
    timeout: '10s',
    onUnavailable: 'throw',
  });
}

async function keysAndTtls(): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for await (const keys of redis.scan(`${namespace}:`)) {
    for (const key of keys) found.set(key, await raw.pttl(key));
  }
  return found;
}

async function waitMs(ms: number): Promise<void> {
  // A timer may fire up to a millisecond early, and this is about exactly how long.
  for (const end = performance.now() + ms; performance.now() < end; ) {
    await new Promise((resolve) => setTimeout(resolve, Math.max(1, end - performance.now())));
  }
}

describe('redisStore()', () => {
  test('PBX-11: ten commands per device and minute pass, the eleventh does not, in one script call each', async () => {
    const limits = limiter();
    const decisions = [];
    for (let i = 0; i < 11; i++)
      decisions.push(await limits.consume({ commands: ['d1'] }, { tenant: 'acme' }));
    expect(decisions.map(({ allowed }) => allowed)).toEqual([...Array(10).fill(true), false]);
    expect(decisions[0]).toMatchObject({ source: 'redis', limits: { commands: { remaining: 9 } } });
    expect(decisions[10]?.retryAfterMs).toBeGreaterThan(0);
    expect(decisions[10]?.retryAfterMs).toBeLessThanOrEqual(60_000);
    const keys = await keysAndTtls();
    expect([...keys.keys()]).toEqual([`${namespace}:l:tenant:{acme}:commands:f1:d1`]);
  });

  test('PBX-11: after any sequence of checks, every key ends within its window', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            names: fc.subarray(['user', 'thirds', 'commands'] as const, { minLength: 1 }),
            id: fc.constantFrom('a', 'b', 'c'),
            cost: fc.integer({ min: 1, max: 12 }),
          }),
          { minLength: 1, maxLength: 25 },
        ),
        async (calls) => {
          namespace = uniqueNamespace();
          const limits = limiter();
          for (const { names, id, cost } of calls) {
            await limits.consume(Object.fromEntries(names.map((name) => [name, [id]])) as never, { cost });
          }
          for (const [key, ttl] of await keysAndTtls()) {
            expect(ttl, key).toBeGreaterThan(0);
            expect(ttl, key).toBeLessThanOrEqual(60_000);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  test.each(['user', 'commands'] as const)(
    'PBX-11: a key that somebody else made immortal begins anew with the next check (%s)',
    async (name) => {
      const limits = limiter();
      await limits.consume({ [name]: ['u1'] } as never, { cost: policies[name].limit });
      const [key] = [...(await keysAndTtls()).keys()] as [string];
      await raw.persist(key);
      expect(await raw.pttl(key)).toBe(-1);
      expect((await limits.consume({ [name]: ['u1'] } as never)).allowed).toBe(true);
      expect(await raw.pttl(key)).toBeGreaterThan(0);
    },
  );

  test.each(['user', 'thirds', 'commands'] as const)(
    'a key that lives longer than its window, or holds something else, is mended (%s)',
    async (name) => {
      const limits = limiter();
      await limits.consume({ [name]: ['u1'] } as never);
      const [key] = [...(await keysAndTtls()).keys()] as [string];
      await raw.pexpire(key, 3_600_000);
      const decision = await limits.consume({ [name]: ['u1'] } as never, { cost: policies[name].limit });
      expect(decision.retryAfterMs).toBeLessThanOrEqual(60_000);
      expect(await raw.pttl(key)).toBeLessThanOrEqual(60_000);
      for (const rubbish of ['x', 'nan', '-5', '1e300', 'inf']) {
        await raw.set(key, rubbish, 'PX', 1);
        await expect.poll(() => raw.exists(key)).toBe(0);
        await raw.set(key, rubbish, 'PX', 5_000);
        expect((await limits.consume({ [name]: ['u1'] } as never)).source).toBe('redis');
      }
      await raw.del(key);
      await raw.hset(key, 'a', 'b');
      await raw.pexpire(key, 5_000);
      expect((await limits.consume({ [name]: ['u1'] } as never)).source).toBe('redis');
      expect(await raw.type(key)).toBe('string');
    },
  );

  test('two processes together let exactly the limit pass', async () => {
    const limiters = [limiter(), limiter(other.redis)];
    const asked = Array.from({ length: 200 }, (_, i) => limiters[i % 2]?.consume({ commands: ['d1'] }));
    const decisions = await Promise.all(asked);
    expect(decisions.filter((decision) => decision?.allowed).length).toBe(10);
  });

  test('takes from all policies or from none', async () => {
    const limits = limiter();
    const ask = (user: string) => limits.consume({ user: [user], commands: ['d1'] }, { tenant: 'acme' });
    for (let i = 0; i < 20; i++) await ask('noisy');
    expect(await ask('noisy')).toMatchObject({
      allowed: false,
      violated: ['user'],
      limits: { commands: { remaining: 7, retryAfterMs: 0 } },
    });
    for (let i = 0; i < 7; i++) expect((await ask(`quiet ${i}`)).allowed).toBe(true);
    expect(await ask('one too many')).toMatchObject({ allowed: false, violated: ['commands'] });
  });

  test('a cost above the limit is denied for ever and leaves no key', async () => {
    const decision = await limiter().consume({ user: ['u1'], commands: ['d1'] }, { cost: 4 });
    expect(decision).toMatchObject({
      allowed: false,
      retryAfterMs: Number.POSITIVE_INFINITY,
      violated: ['user'],
      limits: { user: { remaining: 3 }, commands: { remaining: 10 } },
    });
    expect(await keysAndTtls()).toEqual(new Map());
  });

  test('waiting exactly retryAfterMs by the clock on the wall lets the same request pass', async () => {
    const limits = createRateLimiter({
      policies: { bucket: gcra({ limit: 3, window: 500 }), window: fixedWindow({ limit: 2, window: 400 }) },
      store: redisStore({ redis, namespace }),
      timeout: '10s',
    });
    for (const [name, cost] of [
      ['bucket', 1],
      ['bucket', 3],
      ['window', 1],
      ['window', 2],
    ] as const) {
      const ask = () => limits.consume({ [name]: [`cost ${cost}`] } as never, { cost });
      for (let waits = 0; waits < 3; ) {
        const decision = await ask();
        if (decision.allowed) continue;
        await waitMs(decision.retryAfterMs);
        expect(await ask(), `${name}, cost ${cost}`).toMatchObject({ allowed: true, source: 'redis' });
        waits++;
      }
    }
  });

  test('steady traffic at exactly the limit passes', async () => {
    const limits = createRateLimiter({
      policies: { bucket: gcra({ limit: 20, window: 400 }) },
      store: redisStore({ redis, namespace }),
      timeout: '10s',
    });
    const denied: number[] = [];
    for (let i = 0; i < 60; i++) {
      const { allowed } = await limits.consume({ bucket: ['u1'] });
      if (!allowed) denied.push(i);
      await waitMs(20);
    }
    expect(denied).toEqual([]);
  });

  test('10,000 hostile ids reach only keys of their own tenant, and none of them another type', async () => {
    const hostile = fc.string({
      unit: fc.constantFrom(...':{}*?[]\\ \0\n\r%#/~-_ab1'),
      minLength: 1,
      maxLength: 10,
    });
    const ids = new Set(fc.sample(hostile, 10_000));
    const limits = limiter();
    const answers = await Promise.all(
      [...ids].map((id) => limits.consume({ user: [id] }, { tenant: 'acme:{x}' })),
    );
    expect(answers.every(({ allowed, limits: { user } }) => allowed && user.remaining === 2)).toBe(true);
    const keys = [...(await keysAndTtls()).keys()];
    expect(keys.length).toBe(ids.size);
    const prefix = `${namespace}:l:tenant:{acme%3A%7Bx%7D}:user:g1:`;
    for (const key of keys)
      expect(key.startsWith(prefix) && !/[{}]/.test(key.slice(prefix.length))).toBe(true);
  });

  test('the scripts are loaded again after the server forgot them', async () => {
    const limits = limiter();
    await limits.consume({ user: ['u1'] });
    await raw.script('FLUSH');
    expect(await limits.consume({ user: ['u1'] })).toMatchObject({
      source: 'redis',
      limits: { user: { remaining: 1 } },
    });
  });

  test('nothing connects before the first check', async () => {
    const before = await raw.client('LIST');
    limiter();
    const after = await raw.client('LIST');
    expect(String(after).split('\n').length).toBe(String(before).split('\n').length);
  });

  test('refuses a namespace or an option that is none', () => {
    const invalid = expect.objectContaining({ code: 'INVALID_CONFIGURATION' });
    expect(() => redisStore({ redis, namespace: 'a:b' })).toThrow(invalid);
    expect(() => redisStore({ redis, prefix: 'x' } as never)).toThrow(invalid);
  });
});
