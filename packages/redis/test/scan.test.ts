import { expect, it } from 'vitest';
import { prefixPattern } from '../src/scan.ts';

it('escapes every character that a glob would take for itself', () => {
  expect(prefixPattern('ck:c:tenant:{a}:')).toBe('ck:c:tenant:{a}:*');
  expect(prefixPattern('a*b?[c]\\')).toBe('a\\*b\\?\\[c\\]\\\\*');
  expect(prefixPattern('')).toBe('*');
});
