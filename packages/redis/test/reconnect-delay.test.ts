import { expect, it } from 'vitest';
import { reconnectDelayMs } from '../src/executors/reconnect-delay.ts';

it('grows from 50 ms to 1 s and stays there', () => {
  const longest = [1, 2, 3, 4, 5, 6, 7, 1_000].map((attempt) => reconnectDelayMs(attempt, () => 1));
  expect(longest).toEqual([50, 100, 200, 400, 800, 1_000, 1_000, 1_000]);
});

it('is at least half of that, so that processes spread without hurrying', () => {
  expect([1, 5, 1_000].map((attempt) => reconnectDelayMs(attempt, () => 0))).toEqual([25, 400, 500]);
});
