import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { keyTail } from '../src/key.ts';

describe('keyTail()', () => {
  test('parts that are joined elsewhere stay apart', () => {
    expect(keyTail('api', ['a', 'b:c'])).not.toBe(keyTail('api', ['a:b', 'c']));
    expect(keyTail('api', ['a', 'b'])).toBe(':a:b');
    expect(keyTail('api', [42])).toBe(':42');
  });

  test('10,000 hostile ids never collide, never leave their place and stay short', () => {
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
