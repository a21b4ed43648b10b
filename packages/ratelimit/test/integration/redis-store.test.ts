import { uniqueNamespace } from '@cachekit/services/vitest';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  concurrency,
  createRateLimiter,
  fixedWindow,
  gcra,
  redisStore,
  slidingWindow,
} from '../../src/index.ts';
import { connect } from './connection.ts';

const { redis, raw } = connect();

let namespace: string;
beforeEach(() => {
  namespace = uniqueNamespace();
});

const policies = {
  user: gcra({ limit: 3, window: '1m' }),
  thirds: gcra({ limit: 7, window: '1m' }),
  commands: fixedWindow({ limit: 10, window: '60s' }),
  strict: slidingWindow({ limit: 5, window: '1m' }),
};

function limiter(executor = redis) {
  return createRateLimiter({
    policies,
    store: redisStore({ redis: executor, namespace }),
    timeout: '10s',
    onUnavailable: 'throw',
  });
}

async function keysNow(): Promise<string[]> {
  const found: string[] = [];
  for await (const keys of redis.scan(`${namespace}:`)) found.push(...keys);
  return [...new Set(found)];
}

async function keysAndTtls(): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const key of await keysNow()) found.set(key, await raw.pttl(key));
  return found;
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

  test.each(['user', 'commands', 'strict'] as const)(
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

  test.each(['user', 'thirds', 'commands', 'strict'] as const)(
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
        // A limiter that remembers no denial.
        expect((await limiter().consume({ [name]: ['u1'] } as never)).source).toBe('redis');
      }
      await raw.del(key);
      await raw.hset(key, 'a', 'b');
      await raw.pexpire(key, 5_000);
      expect((await limiter().consume({ [name]: ['u1'] } as never)).source).toBe('redis');
      expect(await raw.type(key)).toBe('string');
    },
  );

  test.each(['user', 'commands', 'strict'] as const)(
    'a reason that nobody encoded is told as it stands, and checks of the same call are answered (%s)',
    async (name) => {
      const limits = limiter();
      const ids = { [name]: ['u1'] } as never;
      await limits.block(ids, { duration: '1m', reason: 'x' });
      const [key] = [...(await keysAndTtls()).keys()] as [string];
      const value = (await raw.getBuffer(key)) as Buffer;
      await raw.set(key, value.toString('latin1').replace('x', '%zz'), 'KEEPTTL');
      const [denied, ...others] = await Promise.all([
        limits.consume(ids),
        ...Array.from({ length: 5 }, (_, i) => limits.consume({ [name]: [`other ${i}`] } as never)),
      ]);
      expect(denied?.limits[name]).toMatchObject({ blocked: '%zz', remaining: 0 });
      expect(others.every(({ allowed }) => allowed)).toBe(true);
    },
  );

  test('10,000 hostile ids reach only keys of their own tenant, and none of them another type (scenario 13)', async () => {
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
    const keys = await keysNow();
    expect(keys.length).toBe(ids.size);
    const prefix = `${namespace}:l:tenant:{acme%3A%7Bx%7D}:user:g1:`;
    for (const key of keys)
      expect(key.startsWith(prefix) && !/[{}]/.test(key.slice(prefix.length))).toBe(true);
  });

  test.each([
    ['sliding window', slidingWindow({ limit: 5, window: '1m' })],
    ['fixed window', fixedWindow({ limit: 5, window: '1m' })],
    ['window since 1970', fixedWindow({ limit: 5, window: '1m', anchor: 'epoch' })],
    ['bucket', gcra({ limit: 5, window: '1m' })],
    ['slots', concurrency({ limit: 5, lease: '1m' })],
  ])(
    '%s: a key lives until nothing in it counts any more, and not longer (scenario 16)',
    async (_what, policy) => {
      const limits = createRateLimiter({
        policies: { it: policy },
        store: redisStore({ redis, namespace }),
        timeout: '10s',
        onUnavailable: 'throw',
      });
      for (let i = 0; i < 4; i++) {
        const began = performance.now();
        const { limits: status } = await limits.consume({ it: ['u1'] });
        const [ttl] = [...(await keysAndTtls()).values()] as [number];
        const agedMs = performance.now() - began;
        const resetMs = status.it.resetMs as number;
        expect(ttl).toBeLessThanOrEqual(resetMs);
        expect(ttl).toBeGreaterThanOrEqual(resetMs - agedMs - 2);
      }
    },
  );

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
    // A client has a method `script`, too.
    for (const none of [undefined, null, {}, 'redis://', { script: () => 1 }]) {
      expect(() => redisStore({ redis: none as never })).toThrow(invalid);
    }
  });
});
