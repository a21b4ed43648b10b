/** Signature, flags and an empty extension of the binary format of COPY. */
const headerLength = 19;
const trailer = -1;

/** Rows in the binary format of COPY, whose first column is their key as text. */
export interface Tuples {
  readonly keys: readonly string[];
  /** To be sent as they are, between `binaryHeader` and `binaryTrailer`. */
  readonly bytes: Uint8Array;
}

/** @see PostgreSQL documentation, COPY, Binary Format */
export const binaryHeader: Uint8Array = Uint8Array.of(
  ...[0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00],
  ...[0, 0, 0, 0, 0, 0, 0, 0],
);
export const binaryTrailer: Uint8Array = Uint8Array.of(0xff, 0xff);

/** Cuts a stream of COPY between rows; a chunk may end anywhere. */
export class TupleCutter {
  readonly #decoder = new TextDecoder();
  #rest: Uint8Array = new Uint8Array(0);
  #begun = false;

  /** The rows that are complete with these chunks. */
  cut(chunks: readonly Uint8Array[]): Tuples {
    const bytes = joined([this.#rest, ...chunks]);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let start = 0;
    if (!this.#begun) {
      if (bytes.length < headerLength) {
        this.#rest = bytes;
        return { keys: [], bytes: new Uint8Array(0) };
      }
      start = headerLength;
      this.#begun = true;
    }
    const keys: string[] = [];
    let position = start;
    for (;;) {
      const end = endOfTuple(view, position);
      if (end === undefined) break;
      const keyLength = view.getInt32(position + 2);
      keys.push(this.#decoder.decode(bytes.subarray(position + 6, position + 6 + keyLength)));
      position = end;
    }
    this.#rest = bytes.subarray(position);
    return { keys, bytes: bytes.subarray(start, position) };
  }
}

/** Where the tuple that begins at `start` ends; `undefined` if it is not complete, or is the end of all. */
function endOfTuple(view: DataView, start: number): number | undefined {
  if (start + 2 > view.byteLength) return undefined;
  const fields = view.getInt16(start);
  if (fields === trailer) return undefined;
  let position = start + 2;
  for (let field = 0; field < fields; field++) {
    if (position + 4 > view.byteLength) return undefined;
    const length = view.getInt32(position);
    position += 4 + Math.max(0, length);
    if (position > view.byteLength) return undefined;
  }
  return position;
}

/** One piece of memory with all bytes in their order. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
