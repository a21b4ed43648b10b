import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeRead,
  encodeEntry,
  encodeLease,
  entryFields,
  entryHeaderLength,
  fieldNumber,
  fieldText,
  newToken,
  noToken,
  tokenLength,
  withField,
} from '../src/entry.ts';
import { isCacheKitError } from '../src/errors.ts';
import type { RemoteEntry } from '../src/ports/remote-tier.ts';

const tokens = fc
  .array(fc.constantFrom(...'abcXYZ019-_'), { minLength: 10, maxLength: 10 })
  .map((all) => all.join(''));
const entries: fc.Arbitrary<RemoteEntry> = fc.record({
  kind: fc.constantFrom('value', 'negative', 'error'),
  clock: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  freshUntil: fc.nat({ max: 9_999_999_999_999 }),
  version: tokens,
  loadMs: fc.nat({ max: 99_999 }),
  tags: fc.array(fc.stringMatching(/^[!-~]{1,40}$/), { maxLength: 5 }),
  codec: fc.constantFrom('J', 'm'),
  payload: fc.string({ unit: 'binary' }),
});

const sample: RemoteEntry = {
  kind: 'value',
  clock: 1_763_681_277_000_001,
  freshUntil: 1_763_681_337_000,
  version: 'abcdefghij',
  loadMs: 12,
  tags: ['ck:c:tenant:{a}:#calls', 'ck:c:tenant:{a}:#devices'],
  codec: 'J',
  payload: '{"name":"Zoë 🙂"}',
};

describe('wire format of an entry', () => {
  test('gives back what it was given', () => {
    fc.assert(
      fc.property(entries, (entry) => {
        expect(decodeRead(encodeEntry(entry))).toEqual({ state: 'entry', entry });
      }),
    );
  });

  test('is the same text in every release that calls itself C1', () => {
    expect(encodeEntry({ ...sample, payload: '[1]' })).toBe(
      'C1VJ17636812770000011763681337000abcdefghij..........00000000000000001200047' +
        'ck:c:tenant:{a}:#calls\x1fck:c:tenant:{a}:#devices[1]',
    );
  });

  test('has fields that follow each other without a hole and fill the header', () => {
    let end = 0;
    for (const field of Object.values(entryFields)) {
      expect(field.start).toBe(end);
      end = field.start + field.length;
    }
    expect(end).toBe(entryHeaderLength);
  });

  test('lets a script read and change a field by its offset', () => {
    const text = withField(encodeEntry(sample), entryFields.refreshToken, 'REFRESHING');
    expect(fieldText(text, entryFields.refreshToken)).toBe('REFRESHING');
    expect(fieldText(encodeEntry(sample), entryFields.refreshToken)).toBe(noToken);
    expect(fieldNumber(text, entryFields.clock)).toBe(sample.clock);
    expect(decodeRead(text)).toEqual({ state: 'entry', entry: sample });
    const later = withField(text, entryFields.freshUntil, 0);
    expect(decodeRead(later)).toEqual({ state: 'entry', entry: { ...sample, freshUntil: 0 } });
  });

  test('takes a lease for a lease', () => {
    const lease = encodeLease({ token: 'abcdefghij', clock: 5, until: 7 });
    expect(lease).toHaveLength(entryHeaderLength);
    expect(decodeRead(lease)).toEqual({ state: 'leased', until: 7 });
    expect(fieldText(lease, entryFields.version)).toBe('abcdefghij');
    expect(fieldNumber(lease, entryFields.freshUntil)).toBe(7);
  });

  test('takes for damaged what begins as a lease and is none', () => {
    const lease = encodeLease({ token: 'abcdefghij', clock: 5, until: 7 });
    for (const text of [
      'C1L'.padEnd(entryHeaderLength, '0'),
      'C1L'.padEnd(200, '0'),
      `${lease}x`,
      withField(lease, entryFields.codec, 'J'),
      withField(lease, entryFields.clock, 'x'.repeat(16)),
      withField(lease, entryFields.freshUntil, '-000000000001'),
      withField(lease, entryFields.refreshToken, 'abcdefghij'),
      withField(lease, entryFields.tagBytes, 1),
    ]) {
      expect(decodeRead(text)).toEqual({ state: 'absent', damaged: true });
    }
  });

  test('reads nothing as absent and anything else as damaged, never throwing', () => {
    expect(decodeRead(null)).toEqual({ state: 'absent' });
    expect(decodeRead(undefined)).toEqual({ state: 'absent' });
    for (const text of ['', 'C1', '{"a":1}', 'C2'.padEnd(200, '0'), 'C1'.padEnd(200, 'x')]) {
      expect(decodeRead(text)).toEqual({ state: 'absent', damaged: true });
    }
    fc.assert(
      fc.property(
        entries,
        fc.nat({ max: 75 }),
        fc.constantFrom('\0', 'ö', ' ', '/'),
        (entry, at, character) => {
          const text = encodeEntry(entry);
          const read = decodeRead(text.slice(0, at) + character + text.slice(at + 1));
          if (at < entryFields.refreshToken.start || at >= entryFields.loadMs.start) {
            expect(read).toEqual({ state: 'absent', damaged: true });
          }
        },
      ),
    );
    fc.assert(
      fc.property(entries, fc.nat(), (entry, cut) => {
        const header = encodeEntry({ ...entry, payload: '' });
        const text = header.slice(0, cut % header.length);
        expect(decodeRead(text)).toEqual({ state: 'absent', damaged: true });
      }),
    );
  });

  test('refuses what the header cannot hold', () => {
    for (const wrong of [
      { version: 'short' },
      { version: 'has spaces' },
      { codec: '' },
      { codec: 'JJ' },
      { tags: ['a\x1fb'] },
      { tags: [''] },
      { tags: ['ä'] },
      { tags: ['x'.repeat(100_000)] },
    ]) {
      expect(() => encodeEntry({ ...sample, ...wrong })).toThrow(
        expect.toSatisfy((error) => isCacheKitError(error, 'INVALID_ARGUMENT')),
      );
    }
    expect(() => encodeLease({ token: noToken, clock: 1, until: 1 })).toThrow();
  });

  test('cuts times to what a field can hold', () => {
    const read = decodeRead(encodeEntry({ ...sample, loadMs: 1e9, freshUntil: 1e20, clock: 1.5 }));
    expect(read).toMatchObject({ entry: { loadMs: 99_999, freshUntil: 9_999_999_999_999, clock: 1 } });
  });

  test('makes tokens of the length the header has, from any random number', () => {
    for (const random of [() => 0, () => 1 - Number.EPSILON, Math.random]) {
      expect(newToken(random)).toMatch(/^[A-Za-z0-9_-]{10}$/);
    }
    expect(new Set(Array.from({ length: 10_000 }, () => newToken(Math.random)))).toHaveProperty(
      'size',
      10_000,
    );
    expect(tokenLength).toBe(10);
  });
});
