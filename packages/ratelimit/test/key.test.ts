import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRateLimiter, gcra, memoryStore } from '../src/index.ts';
import { keyTail, limitPrefix } from '../src/key.ts';

describe('keyTail()', () => {
  test('parts that are joined elsewhere stay apart', () => {
    expect(keyTail('api', ['a', 'b:c'])).not.toBe(keyTail('api', ['a:b', 'c']));
    expect(keyTail('api', ['a', 'b'])).toBe(':a:b');
    expect(keyTail('api', [42])).toBe(':42');
  });

  test('10,000 hostile ids never collide, never leave their place and stay short (scenario 13)', () => {
    const hostile = fc.array(
      fc.oneof(
        fc.string({
          unit: fc.constantFrom(...':{}*?[]\\ \0\n\r%#/~-_.ab1\'"()!é𝄞'),
          minLength: 1,
          maxLength: 12,
        }),
        fc.string({ unit: 'grapheme', minLength: 1, maxLength: 200 }),
      ),
      { minLength: 1, maxLength: 4 },
    );
    const seen = new Map<string, string>();
    for (const parts of fc.sample(hostile, 10_000)) {
      const tail = keyTail('api', parts);
      const before = seen.get(tail);
      if (before !== undefined) expect(JSON.stringify(parts)).toBe(before);
      seen.set(tail, JSON.stringify(parts));
      expect(tail).toMatch(/^(:[\w.~%-]+)+$|^:#[\w-]{22}$/);
      expect(tail.length).toBeLessThanOrEqual(96);
    }
    expect(seen.size).toBeGreaterThan(9_000);
  });

  test('an id of a megabyte becomes a short key', () => {
    const long = 'x'.repeat(1_000_000);
    expect(keyTail('api', [long]).length).toBe(24);
    expect(keyTail('api', [long])).not.toBe(keyTail('api', [`${long}x`]));
  });

  test.each([[''], [undefined], [null], [Number.NaN], [1.5], [2 ** 53], [{}], [true], ['\ud800']])(
    'refuses the part %s',
    (part) => {
      expect(() => keyTail('api', ['a', part as string])).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      );
    },
  );
});

describe('limitPrefix()', () => {
  test('10,000 hostile tenants never meet, and each is one hash tag', () => {
    const hostile = fc.string({
      unit: fc.constantFrom(...':{}*?[]\\ \0\n%#/~-_.ab1é𝄞'),
      minLength: 1,
      maxLength: 120,
    });
    const seen = new Map<string, string>();
    for (const tenant of fc.sample(hostile, 10_000)) {
      if (tenant.length > 128) continue;
      const prefix = limitPrefix('ck', tenant);
      expect(seen.get(prefix) ?? tenant).toBe(tenant);
      seen.set(prefix, tenant);
      expect(prefix).toMatch(/^ck:l:tenant:\{(#[\w-]{22}|[\w.~%-]{1,64})\}:$/);
    }
  });

  test('no key is longer than 200 bytes, whatever the namespace, policy, tenant and id', async () => {
    const name = `p${'x'.repeat(31)}`;
    const keys: string[] = [];
    const limits = createRateLimiter({
      policies: { [name]: gcra({ limit: 1, window: 1 }) },
      store: {
        ...memoryStore(),
        namespace: 'n'.repeat(32),
        open: () => ({
          check: (request) => {
            keys.push(...request.keys);
            throw new Error('only the key counts');
          },
          block: () => {},
          reset: () => {},
        }),
      },
    });
    for (const tenant of [undefined, 't', '𝄞'.repeat(64), 't'.repeat(64), 't'.repeat(128)]) {
      for (const id of ['i', 'i'.repeat(60), 'é'.repeat(40), 'i'.repeat(1_000_000)]) {
        await limits.consume({ [name]: [id, id] }, tenant === undefined ? {} : { tenant });
      }
    }
    expect(new Set(keys).size).toBe(20);
    for (const key of keys) expect(Buffer.byteLength(key)).toBeLessThanOrEqual(200);
  });
});
