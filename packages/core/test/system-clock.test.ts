import { expect, test } from 'vitest';
import { durationMs, systemClock } from '../src/index.ts';

test('a timer of more than 24 days does not end at once', async () => {
  let over = false;
  const timer = systemClock.setTimeout(
    () => {
      over = true;
    },
    durationMs('90d', 'wait'),
  );
  await new Promise((resolve) => setTimeout(resolve, 20));
  systemClock.clearTimeout(timer);
  expect(over).toBe(false);
});

test('a duration that no clock can count is refused, and named as it was given', () => {
  for (const duration of [1e300, Number.POSITIVE_INFINITY, Number.NaN, -1]) {
    expect(() => durationMs(duration, 'ttl')).toThrow(`ttl: ${duration} is no duration`);
  }
  expect(() => durationMs('1 week' as never, 'ttl')).toThrow('ttl: "1 week" is no duration');
});
