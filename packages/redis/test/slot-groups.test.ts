import { describe, expect, it } from 'vitest';
import { hashTag } from '../src/keys.ts';
import { commandGroups, slotGroups } from '../src/slot-groups.ts';

describe('hashTag()', () => {
  it.each([
    ['ck:c:tenant:{acme}:devices', 'acme'],
    ['{a}{b}', 'a'],
    ['plain', 'plain'],
    ['{}', '{}'],
    ['{}{a}', '{}{a}'],
    ['open{', 'open{'],
    ['}a{b}', 'b'],
    ['{{a}}', '{a'],
  ])('of %s is %s, as the cluster specification says', (key, tag) => {
    expect(hashTag(key)).toBe(tag);
  });
});

describe('slotGroups()', () => {
  const keys = ['{a}1', '{b}1', '{a}2', 'c', '{b}2'];

  it('keeps everything together where there are no slots', () => {
    expect(slotGroups(keys, false)).toEqual([[0, 1, 2, 3, 4]]);
    expect(slotGroups([], false)).toEqual([]);
  });

  it('puts together what is surely in one slot', () => {
    expect(slotGroups(keys, true)).toEqual([[0, 2], [1, 4], [3]]);
    expect(slotGroups([], true)).toEqual([]);
  });

  it('cuts what is too long for one command, and loses nothing', () => {
    expect(commandGroups(keys, false, 2)).toEqual([['{a}1', '{b}1'], ['{a}2', 'c'], ['{b}2']]);
    expect(commandGroups(keys, true, 1).flat().sort()).toEqual([...keys].sort());
  });
});
