import { describe, expect, test } from 'vitest';
import { DenyCache } from '../src/deny-cache.ts';
import { gcra, type Policy, type Step, slidingWindow } from '../src/index.ts';

const bucket = gcra({ limit: 10, window: 10_000 });
/** What Redis says to a cost of 5 when 2 tokens are left. */
const denied = bucket.algorithm.next({ expiresAt: 8_000, value: 0 }, bucket, 5, 0);

function remembering(policy: Policy = bucket, step: Step = denied): DenyCache {
  const cache = new DenyCache();
  cache.remember('k', policy, 5, step, 1_000);
  return cache;
}

describe('the deny cache', () => {
  test('knows what a smaller cost would be told: a cost of 5 is denied, of 2 is not (scenario 9)', () => {
    const cache = remembering();
    expect(cache.find('k', bucket, 5, 1_000)?.retryAfterMs).toBe(3_000);
    expect(cache.find('k', bucket, 3, 1_000)?.retryAfterMs).toBe(1_000);
    expect(cache.find('k', bucket, 2, 1_000)).toBeUndefined();
    expect(cache.find('k', bucket, 10, 1_000)?.retryAfterMs).toBe(8_000);
  });

  test('a denial ends when it does in Redis, not later', () => {
    const cache = remembering();
    expect(cache.find('k', bucket, 5, 3_999)?.retryAfterMs).toBe(1);
    expect(cache.find('k', bucket, 5, 4_000)).toBeUndefined();
  });

  test('a log of tokens is asked again for a smaller cost', () => {
    const strict = slidingWindow({ limit: 10, window: 10_000 });
    const step = strict.algorithm.next(
      { expiresAt: 9_000, value: 0, log: Array(8).fill(-2_000) },
      strict,
      5,
      0,
    );
    const cache = remembering(strict, step);
    expect(cache.find('k', strict, 5, 1_000)?.retryAfterMs).toBe(8_000);
    expect(cache.find('k', strict, 4, 1_000)).toBeUndefined();
  });

  test('what was given back elsewhere is seen after 5 s, here at once', () => {
    expect(remembering().find('k', bucket, 10, 6_000)).toBeDefined();
    expect(remembering().find('k', bucket, 10, 6_001)).toBeUndefined();
    const cache = remembering();
    cache.forget(['k']);
    expect(cache.find('k', bucket, 10, 1_000)).toBeUndefined();
  });

  test('another limit, another window or a clock that was set back is not judged by it', () => {
    expect(remembering().find('k', { ...bucket, limit: 11 }, 5, 1_000)).toBeUndefined();
    expect(remembering().find('k', { ...bucket, windowMs: 20_000 }, 5, 1_000)).toBeUndefined();
    expect(remembering().find('k', bucket, 5, 999)).toBeUndefined();
  });

  test('what can never pass is not remembered', () => {
    const cache = remembering(bucket, { ...denied, retryAfterMs: Number.POSITIVE_INFINITY });
    expect(cache.empty).toBe(true);
  });

  test('holds 50,000 keys and forgets the oldest', () => {
    const cache = new DenyCache();
    for (let i = 0; i < 50_001; i++) cache.remember(`k${i}`, bucket, 5, denied, 1_000);
    expect(cache.find('k0', bucket, 5, 1_000)).toBeUndefined();
    expect(cache.find('k1', bucket, 5, 1_000)).toBeDefined();
    expect(cache.find('k50000', bucket, 5, 1_000)).toBeDefined();
  });
});
