import { systemClock } from '@cachekit/core';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Breaker } from '../src/engine/steps/breaker.ts';
import { Failures } from '../src/engine/steps/failures.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date', 'performance'] }));
afterEach(() => void vi.useRealTimers());

/** The time of day is set back, as when a machine finds that it was an hour ahead. */
function setBackAnHour(): void {
  vi.setSystemTime(Date.now() - 3_600_000);
}

it('what did not answer is asked again after a second, also when the time of day was set back meanwhile', () => {
  const breaker = new Breaker(systemClock, () => {});
  for (let failure = 0; failure < 3; failure++) breaker.failed();
  setBackAnHour();
  expect(breaker.allows()).toBe(false);
  vi.advanceTimersByTime(1_000);
  expect(breaker.allows()).toBe(true);
});

it('a loader that failed is left alone no longer, also when the time of day was set back meanwhile', () => {
  const failures = new Failures(systemClock);
  failures.remember('key', new Error('down'), 2_000, 0);
  setBackAnHour();
  expect(failures.paused('key')).toBe(true);
  vi.advanceTimersByTime(1_000);
  expect(failures.paused('key')).toBe(false);
  expect(failures.kept('key', 0)).toBeDefined();
  vi.advanceTimersByTime(1_000);
  expect(failures.kept('key', 0)).toBeUndefined();
});
