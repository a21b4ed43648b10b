import { describe, expect, it } from 'vitest';
import { binaryHeader, binaryTrailer, joined, TupleCutter } from '../src/etl/tuples.ts';

/** A row of the binary format: a key, NULL, and some bytes. */
function tuple(key: string, bytes: number): Uint8Array {
  const text = new TextEncoder().encode(key);
  const row = new Uint8Array(2 + 4 + text.length + 4 + 4 + bytes);
  const view = new DataView(row.buffer);
  view.setInt16(0, 3);
  view.setInt32(2, text.length);
  row.set(text, 6);
  view.setInt32(6 + text.length, -1);
  view.setInt32(10 + text.length, bytes);
  row.fill(0xff, 14 + text.length);
  return row;
}

const rows = [tuple('1', 0), tuple('zwölf', 300), tuple('', 5)];
const stream = joined([binaryHeader, ...rows, binaryTrailer]);

describe('rows in the binary format', () => {
  it('are cut the same wherever a chunk ends', () => {
    for (let size = 1; size <= stream.length; size++) {
      const cutter = new TupleCutter();
      const keys: string[] = [];
      const bytes: Uint8Array[] = [];
      for (let at = 0; at < stream.length; at += size) {
        const cut = cutter.cut([stream.subarray(at, at + size)]);
        keys.push(...cut.keys);
        bytes.push(cut.bytes);
      }
      expect(keys).toEqual(['1', 'zwölf', '']);
      expect(joined(bytes)).toEqual(joined(rows));
    }
  });

  it('are none in an empty result', () => {
    expect(new TupleCutter().cut([binaryHeader, binaryTrailer])).toEqual({
      keys: [],
      bytes: new Uint8Array(0),
    });
  });
});
