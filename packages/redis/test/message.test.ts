import type { CoherenceSink } from '@cachekit/core';
import { expect, it } from 'vitest';
import { hear } from '../src/coherence/message.ts';

function heard(message: string): string[] {
  const told: string[] = [];
  const sink: CoherenceSink = {
    changed: (keys, version) => told.push(`${keys.join(' ')}${version === undefined ? '' : `=${version}`}`),
    changedAll: () => told.push('all'),
    lost: () => {},
    armed: () => {},
  };
  hear(message, sink);
  return told;
}

it('tells of keys that changed, and of the versions that some of them have now', () => {
  expect(heard('["a","b"]')).toEqual(['a b']);
  expect(heard('["a","=abcdefghij","b","=klmnopqrst"]')).toEqual(['a=abcdefghij', 'b=klmnopqrst']);
  expect(heard('["a","b","=klmnopqrst","c"]')).toEqual(['b=klmnopqrst', 'a c']);
  expect(heard('[]')).toEqual([]);
});

it('understands what an earlier version says of one entry', () => {
  expect(heard('=abcdefghijck:c:tenant:{acme}:devices')).toEqual(['ck:c:tenant:{acme}:devices=abcdefghij']);
});

it('takes for a change of everything what it does not understand', () => {
  for (const message of ['', 'nonsense', '{"a":1}', '[1]', '=', '=abcdefghij']) {
    expect(heard(message)).toEqual(['all']);
  }
});
