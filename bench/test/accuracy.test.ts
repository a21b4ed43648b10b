import { describe, expect, test } from 'vitest';
import { bucketAccuracy, type Seen, strictAccuracy } from '../ratelimit/accuracy.ts';

const at = (ms: number, allowed: boolean): Seen => ({ sent: ms, answered: ms + 1, allowed });

describe('strictAccuracy()', () => {
  test('a limiter that lets 2 pass in every 100 ms, and no more, is never wrong', () => {
    const seen = [
      at(0, true),
      at(10, true),
      at(20, false),
      at(95, false),
      at(130, true),
      at(150, true),
      at(160, false),
    ];
    expect(strictAccuracy(seen, 2, 100)).toEqual({ wrongAllow: 0, wrongDeny: 0, most: 1 });
  });

  test('a third within the window is wrong, and so is a denial while there is room', () => {
    const seen = [at(0, true), at(10, true), at(20, true), at(400, false)];
    expect(strictAccuracy(seen, 2, 100)).toEqual({ wrongAllow: 25, wrongDeny: 25, most: 1.5 });
  });
});

describe('bucketAccuracy()', () => {
  test('the whole bucket at once and then what flows back is right', () => {
    const seen = [at(0, true), at(1, true), at(2, false), at(80, true), at(81, false)];
    expect(bucketAccuracy(seen, 2, 100)).toMatchObject({ wrongAllow: 0, wrongDeny: 0 });
  });

  test('more than flows back is wrong, and so is a denial while the bucket is full', () => {
    const seen = [at(0, true), at(1, true), at(2, true), at(3, true), at(900, false)];
    const { wrongAllow, wrongDeny } = bucketAccuracy(seen, 2, 100);
    expect(wrongAllow).toBeGreaterThan(0);
    expect(wrongDeny).toBe(20);
  });
});
