import { isCacheKitError } from '@cachekit/core';
import { describe, expect, test } from 'vitest';
import { fixedWindow, gcra } from '../src/index.ts';

const makers = { gcra, fixedWindow };

describe.each(Object.entries(makers))('%s()', (name, maker) => {
  test.each([Number.NaN, Number.POSITIVE_INFINITY, -1, 0, 1.5, 2 ** 53, '10', undefined, null])(
    'refuses the limit %s at construction',
    (limit) => {
      expect(() => maker({ limit: limit as number, window: '1m' })).toThrow(
        expect.objectContaining({ code: 'INVALID_CONFIGURATION', message: expect.stringContaining(name) }),
      );
    },
  );

  test.each([
    0,
    -1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1.5,
    '10x',
    '',
    '0s',
    '1.5ms',
    '367d',
    undefined,
    null,
  ])('refuses the window %s at construction', (window) => {
    expect(() => maker({ limit: 10, window: window as number })).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIGURATION', message: expect.stringContaining(name) }),
    );
  });

  test('refuses a limit that is too much for its window, and says how much it can be', () => {
    expect(() => maker({ limit: 1_000_000_000, window: '366d' })).toThrow(/at most 71209/);
    expect(maker({ limit: 71_209, window: '366d' }).limit).toBe(71_209);
  });

  test.each([undefined, null, 'x'])('refuses %s in place of options', (options) => {
    expect(() => maker(options as never)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIGURATION' }));
  });

  test('refuses an unknown option', () => {
    expect(() => maker({ limit: 1, window: 1, per: '1m' } as never)).toThrow(/unknown option "per"/);
  });

  test('takes whole milliseconds and durations with a unit', () => {
    expect(maker({ limit: 1, window: 1 }).windowMs).toBe(1);
    expect(maker({ limit: 1, window: '0.5s' }).windowMs).toBe(500);
    expect(maker({ limit: 1, window: '366d' }).windowMs).toBe(366 * 86_400_000);
  });

  test('gives errors that isCacheKitError() knows', () => {
    try {
      maker({ limit: 0, window: 1 });
      expect.unreachable();
    } catch (error) {
      expect(isCacheKitError(error, 'INVALID_CONFIGURATION')).toBe(true);
    }
  });
});
