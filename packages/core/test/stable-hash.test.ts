import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isCacheKitError } from '../src/errors.ts';
import { sha256 } from '../src/keys/sha256.ts';
import { stableHash } from '../src/keys/stable-hash.ts';

const leaf = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.double(),
  fc.boolean(),
  fc.bigInt(),
  fc.date({ noInvalidDate: true }),
  fc.constant(null),
);
const params = fc.letrec((tie) => ({
  node: fc.oneof({ maxDepth: 4 }, leaf, fc.array(tie('node')), fc.dictionary(fc.string(), tie('node'))),
})).node;

function shuffled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffled);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, member]) => [name, shuffled(member)]),
  );
}

const invalid = expect.toSatisfy((error) => isCacheKitError(error, 'INVALID_ARGUMENT'));

describe('stableHash()', () => {
  test('RC-2 is the same in any order of keys, at any depth', () => {
    fc.assert(
      fc.property(params, (value) => {
        expect(stableHash(shuffled(value))).toBe(stableHash(value));
        expect(stableHash(value)).toMatch(/^[A-Za-z0-9_-]{22}$/);
      }),
    );
  });

  test('RC-2 differs for values that are of different kinds or shapes', () => {
    const different = [
      1,
      '1',
      1n,
      true,
      'true',
      null,
      'null',
      undefined,
      'undefined',
      [],
      {},
      '',
      0,
      false,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      new Date(0),
      new Date(1),
      '1970-01-01T00:00:00.000Z',
      [undefined],
      [null],
      [[]],
      [[], []],
      ['a,b'],
      ['a', 'b'],
      { a: 1 },
      { a: '1' },
      { a: { b: 1 } },
      { 'a:b': 1 },
      { a: [1] },
      { a: null },
      '\ud800',
      '\ud801',
      '\ufffd',
      'd0',
      '1n',
      't',
      'z',
    ];
    expect(new Set(different.map(stableHash)).size).toBe(different.length);
  });

  test('RC-2 takes an undefined property for an absent one and -0 for 0', () => {
    expect(stableHash({ a: 1, b: undefined })).toBe(stableHash({ a: 1 }));
    expect(stableHash({ a: -0 })).toBe(stableHash({ a: 0 }));
    expect(stableHash(Object.assign(Object.create(null), { a: 1 }))).toBe(stableHash({ a: 1 }));
  });

  test('is the same in every process and release', () => {
    expect(stableHash({ limit: 20, from: new Date(0) })).toBe('PygzwpwiROHbmAcoTrtw9w');
  });

  test('refuses what cannot be written down, naming where it stands', () => {
    class Money {}
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    for (const value of [
      () => 1,
      Symbol('s'),
      new Map(),
      new Set(),
      new Money(),
      new Date(Number.NaN),
      circle,
    ]) {
      expect(() => stableHash({ deep: [value] })).toThrow(invalid);
    }
    expect(() => stableHash({ deep: [1, new Money()] })).toThrow('params.deep[1]: an instance of Money');
  });

  test('hashes as SHA-256 does, whatever the length', () => {
    for (const text of [
      '',
      'abc',
      'ä🙂',
      ...Array.from({ length: 140 }, (_, length) => 'x'.repeat(length)),
    ]) {
      const ours = [...sha256(text)].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
      expect(ours).toBe(createHash('sha256').update(text).digest('hex'));
    }
  });
});
