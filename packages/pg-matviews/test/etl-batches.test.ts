import { expect, it } from 'vitest';
import { batchBytes, batchesOf } from '../src/etl/batches.ts';

it('sends rows together up to a length, and a longer one alone', () => {
  const half = 'x'.repeat(batchBytes / 2);
  const long = 'y'.repeat(batchBytes + 1);
  const rows = ['1', '2', half, half, half, long, '3', '4'];
  const batches = [...batchesOf(rows)];
  expect(batches.map((batch) => batch.length)).toEqual([3, 2, 1, 2]);
  expect(batches.flat()).toEqual(rows);
});

it('sends nothing where there are no rows', () => {
  expect([...batchesOf([])]).toEqual([]);
});
