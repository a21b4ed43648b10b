import { describe, expect, it } from 'vitest';
import { lsnOf, lsnText } from '../src/etl/slot/lsn.ts';
import { type PgoutputMessage, parsePgoutput } from '../src/etl/slot/pgoutput.ts';
import { shownBy, Told } from '../src/etl/slot/told.ts';

type Part = string | readonly [bytes: 1 | 2 | 4 | 8, value: number | bigint];

/** A message of letters, texts that end with a zero, and integers. */
function message(...parts: readonly Part[]): Uint8Array {
  const bytes: number[] = [];
  for (const part of parts) {
    if (typeof part === 'string') bytes.push(...new TextEncoder().encode(part));
    else
      for (let byte = part[0] - 1; byte >= 0; byte--)
        bytes.push(Number((BigInt(part[1]) >> BigInt(byte * 8)) & 255n));
  }
  return Uint8Array.from(bytes);
}

const tuple = (...values: readonly (string | null | undefined)[]): Part[] => [
  [2, values.length],
  ...values.flatMap((value): Part[] =>
    value === null
      ? ['n']
      : value === undefined
        ? ['u']
        : ['t', [4, new TextEncoder().encode(value).length], value],
  ),
];
const relation = (
  id: number,
  identity: string,
  ...columns: readonly (readonly [string, number])[]
): Uint8Array =>
  message(
    'R',
    [4, id],
    'public\0',
    'calls\0',
    identity,
    [2, columns.length],
    ...columns.flatMap(([name, flags]): Part[] => [[1, flags], `${name}\0`, [4, 23], [4, 0xffff_ffff]]),
  );

const begin = message('B', [8, 0x1_0000_0002n], [8, 5], [4, 4_000_000_000]);
const commit = message('C', [1, 0], [8, 1], [8, 0x1_0000_00ffn], [8, 5]);
const insert = message('I', [4, 7], 'N', ...tuple('zwölf', null));
const update = message('U', [4, 7], 'N', ...tuple('1', undefined));
const moved = message('U', [4, 7], 'K', ...tuple('1', null), 'N', ...tuple('2', 'x'));
const full = message('U', [4, 7], 'O', ...tuple('1', 'long'), 'N', ...tuple('1', undefined));
const removed = message('D', [4, 7], 'K', ...tuple('1', null));
const truncated = message('T', [4, 2], [1, 0], [4, 7], [4, 4_000_000_000]);
const plain = relation(7, 'd', ['id', 1], ['über', 0]);

/** A message with its rows as lists. */
const read = (bytes: Uint8Array): unknown => {
  const parsed: PgoutputMessage = parsePgoutput(bytes);
  const values = (row: { size: number; value(at: number): unknown }) =>
    Array.from({ length: row.size }, (_, at) => row.value(at));
  return {
    ...parsed,
    ...('row' in parsed ? { row: values(parsed.row) } : {}),
    ...('old' in parsed && parsed.old !== undefined ? { old: values(parsed.old) } : {}),
  };
};

describe('messages of pgoutput', () => {
  it('are read as the protocol says, whatever the bytes lie in', () => {
    const wide = new Uint8Array(insert.length + 10);
    wide.set(insert, 7);
    expect(read(wide.subarray(7, 7 + insert.length))).toEqual({
      kind: 'insert',
      relation: 7,
      row: ['zwölf', null],
    });
    expect(read(begin)).toEqual({ kind: 'begin', xid: 4_000_000_000 });
    expect(read(commit)).toEqual({ kind: 'commit', end: 0x1_0000_00ffn });
    expect(read(plain)).toEqual({
      kind: 'relation',
      id: 7,
      columns: [
        { name: 'id', identity: true },
        { name: 'über', identity: false },
      ],
    });
    expect(read(relation(7, 'f', ['id', 0]))).toMatchObject({ columns: [{ identity: true }] });
    expect(read(update)).toEqual({ kind: 'update', relation: 7, old: undefined, row: ['1', undefined] });
    expect(read(moved)).toEqual({ kind: 'update', relation: 7, old: ['1', null], row: ['2', 'x'] });
    expect(read(full)).toEqual({ kind: 'update', relation: 7, old: ['1', 'long'], row: ['1', undefined] });
    expect(read(removed)).toEqual({ kind: 'delete', relation: 7, old: ['1', null] });
    expect(read(truncated)).toEqual({ kind: 'truncate', relations: [7, 4_000_000_000] });
    for (const other of ['O', 'Y', 'M', 'S']) expect(read(message(other, [8, 1]))).toEqual({ kind: 'other' });
  });

  it('are refused when they end too early or are none', () => {
    for (const whole of [begin, commit, plain, insert, update, moved, full, removed, truncated]) {
      const needed = whole === commit ? 18 : whole.length;
      for (let length = 0; length < needed; length++) {
        expect(() => parsePgoutput(whole.subarray(0, length))).toThrow();
      }
    }
    expect(() => parsePgoutput(message('I', [4, 7], 'X'))).toThrow(/where pgoutput has N/);
    expect(() => parsePgoutput(message('I', [4, 7], 'N', [2, 1], 'b'))).toThrow();
  });
});

describe('what a slot told', () => {
  const all = () => true;
  const told = (column: string, ...messages: readonly Uint8Array[]): Told => {
    const result = new Told([
      {
        source: 'calls',
        relations: [7],
        column,
        type: 'integer',
        covered: true,
        published: 1,
        inherited: false,
      },
    ]);
    for (const each of messages) result.take(each, all);
    return result;
  };
  const values = (result: Told) => [...(result.values.get('calls') ?? [])];

  it('leads to the old and the new key of a row', () => {
    expect(values(told('id', plain, insert, update, removed))).toEqual(['zwölf', '1']);
    expect(values(told('id', plain, moved))).toEqual(['1', '2']);
    expect(told('id', begin, plain, moved, commit)).toMatchObject({
      everything: undefined,
      end: 0x1_0000_00ffn,
    });
    const whole = relation(7, 'f', ['id', 1], ['über', 1]);
    expect(values(told('über', whole, full))).toEqual(['long']);
    expect(told('über', whole, full).everything).toBeUndefined();
  });

  it('is everything where a key is not told: TRUNCATE, an identity without it, an unknown table or column', () => {
    expect(told('id', plain, truncated).everything).toBe('truncate');
    expect(told('über', plain, insert).everything).toBeUndefined();
    for (const change of [update, moved, removed])
      expect(told('über', plain, change).everything).toBe('identity');
    expect(told('id', relation(8, 'd', ['id', 1])).everything).toBe('identity');
    expect(told('renamed', plain, insert).everything).toBe('identity');
  });

  it('ends before a transaction that the snapshot does not show, around the end of the circle of ids too', () => {
    const shows = shownBy('4294967290:4294967300:4294967294,4294967297');
    expect([4_294_967_290, 4_294_967_293, 4_294_967_295, 0, 3].map(shows)).toEqual([
      true,
      true,
      true,
      true,
      true,
    ]);
    expect([4_294_967_294, 1, 4, 1_000].map(shows)).toEqual([false, false, false, false]);
    expect(shownBy('10:10:')(9)).toBe(true);
    expect(shownBy('10:10:')(10)).toBe(false);
    expect(told('id').take(begin, () => false)).toBe(false);
  });

  it('has positions that are numbers and texts of PostgreSQL', () => {
    for (const text of ['0/0', '0/1D86878', '1A/FFFFFFFF', 'FFFFFFFF/FFFFFFFF'])
      expect(lsnText(lsnOf(text))).toBe(text);
    expect(lsnOf('1/0') > lsnOf('0/FFFFFFFF')).toBe(true);
  });
});
