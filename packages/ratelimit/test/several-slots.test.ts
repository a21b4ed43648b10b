import type { RedisExecutor } from '@cachekit/core';
import { FakeClock } from '@cachekit/core/testing';
import { describe, expect, test } from 'vitest';
import { createRateLimiter, gcra, redisStore } from '../src/index.ts';

/** A cluster whose scripts are answered after as long as `delayOf` says, if they are, and find nothing taken. */
function slowCluster(clock: FakeClock, delayOf: (key: string, mode: string) => number | undefined) {
  const answered: string[] = [];
  const redis = {
    capabilities: { cluster: true, subscribe: true },
    command: async () => 1,
    script: ({ name }: { name: string }, keys: string[], args: (string | number)[]) =>
      new Promise((resolve) => {
        const key = (keys[0] as string).split(':').at(-1) as string;
        const mode = name.includes('take') ? 'take' : String(args[1]);
        const delayMs = delayOf(key, mode);
        if (delayMs === undefined) return;
        clock.setTimeout(() => {
          answered.push(`${mode} ${key}`);
          // Nothing left of three tokens a minute.
          const found = key === 'full' ? -1 - 3 * 60_000 : 0;
          resolve(mode === 'take' ? [clock.now(), found] : [clock.now(), 1]);
        }, delayMs);
      }),
    scan: async function* () {},
    subscriber: () => Promise.reject(new Error('not used')),
    close: async () => {},
  } as unknown as RedisExecutor;
  return { redis, answered };
}

function limiter(clock: FakeClock, redis: RedisExecutor) {
  const window = '1m';
  return createRateLimiter({
    policies: {
      a: gcra({ limit: 2, window }),
      b: gcra({ limit: 3, window }),
      c: gcra({ limit: 4, window }),
    },
    store: redisStore({ redis }),
    timeout: 150,
    clock,
  });
}

describe('a check of keys in several slots of a cluster', () => {
  test('answers within the timeout, and gives back what it took when nobody waits any more', async () => {
    const clock = new FakeClock();
    const { redis, answered } = slowCluster(clock, () => 100);
    const decision = limiter(clock, redis).consume({ a: ['u1'], b: ['u2'], c: ['u3'] });
    let source: string | undefined;
    void decision.then((settled) => {
      source = settled.source;
    });
    await clock.advance(155);
    expect(source).toBe('local');
    await clock.advance(1_000);
    expect(answered.toSorted()).toEqual(['give u1', 'give u2', 'take u1', 'take u2']);
  });

  test('keeps to a no, also if what was taken cannot be given back in time', async () => {
    const clock = new FakeClock();
    const { redis } = slowCluster(clock, (_key, mode) => (mode === 'give' ? undefined : 50));
    const decision = limiter(clock, redis).consume({ a: ['u1'], b: ['full'] });
    let told: unknown;
    void decision.then((settled) => {
      told = settled;
    });
    await clock.advance(155);
    expect(told).toMatchObject({ allowed: false, source: 'redis', violated: ['b'] });
  });
});
