import { expect, test } from 'vitest';
import { hashSlot } from '../src/stores/hash-slot.ts';

test.each([
  ['123456789', 12_739],
  ['{123456789}.x', 12_739],
  ['a{123456789}{b}', 12_739],
  ['{}123456789', hashSlot('{}123456789')],
])('hashSlot(%s) is that of the specification', (key, slot) => {
  expect(hashSlot(key)).toBe(slot);
});

test('empty braces are no hash tag', () => {
  expect(hashSlot('{}a')).not.toBe(hashSlot('{}b'));
});
