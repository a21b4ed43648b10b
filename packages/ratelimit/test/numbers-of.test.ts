import { expect, it } from 'vitest';
import { numbersOf } from '../src/stores/numbers-of.ts';

it.each<[string, number[]]>([
  ['0', [0]],
  ['1795252607307 0', [1_795_252_607_307, 0]],
  ['1795252607307 59999 -1 -60000 9007199254740991', [1_795_252_607_307, 59_999, -1, -60_000, 2 ** 53 - 1]],
])('reads the numbers of %j', (text, numbers) => {
  expect(numbersOf(text)).toEqual(numbers);
});

it.each(['ERR no', '1795252607307 nil', '1e5 2', '1.5 2', '1\n2'])('takes %j for no numbers', (text) => {
  expect(numbersOf(text)).toBeUndefined();
});
