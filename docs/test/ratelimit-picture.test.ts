import { expect, test } from 'vitest';
import { drawRateLimitAlgorithms } from '../pictures/ratelimit-algorithms.ts';

test('the picture of the algorithms is what their functions draw', async () => {
  const svg = drawRateLimitAlgorithms();
  expect([...svg.matchAll(/at most (\d+)/g)].map(([, most]) => Number(most))).toEqual([19, 19, 10]);
  await expect(svg).toMatchFileSnapshot('../ratelimit-algorithms.svg');
});
