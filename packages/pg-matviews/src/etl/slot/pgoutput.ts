/** A table as the messages after it mean it. */
interface RelationMessage {
  readonly kind: 'relation';
  readonly id: number;
  /** Columns in the order of the tuples; `identity`: part of what is sent of an old row. */
  readonly columns: readonly { readonly name: string; readonly identity: boolean }[];
}

/** A value as text, NULL, or `undefined` where it was not sent because it did not change. */
export type TupleValue = string | null | undefined;

/** What is needed of the messages of `pgoutput`, version 1 of the protocol. */
export type PgoutputMessage =
  | { readonly kind: 'begin'; readonly xid: number }
  /** `end`: the position after the transaction. */
  | { readonly kind: 'commit'; readonly end: bigint }
  | RelationMessage
  | { readonly kind: 'insert'; readonly relation: number; readonly row: Tuple }
  /** `old` is there if the identity changed, or always with REPLICA IDENTITY FULL. */
  | {
      readonly kind: 'update';
      readonly relation: number;
      readonly old: Tuple | undefined;
      readonly row: Tuple;
    }
  | { readonly kind: 'delete'; readonly relation: number; readonly old: Tuple }
  | { readonly kind: 'truncate'; readonly relations: readonly number[] }
  | { readonly kind: 'other' };

const utf8 = new TextDecoder();

/** A row in its message; a value is decoded when it is asked for. */
export class Tuple {
  readonly #bytes: Uint8Array;
  /** Per column where its text is, -1 for NULL, -2 if it was not sent. */
  readonly #starts: readonly number[];
  readonly #lengths: readonly number[];

  constructor(bytes: Uint8Array, starts: readonly number[], lengths: readonly number[]) {
    this.#bytes = bytes;
    this.#starts = starts;
    this.#lengths = lengths;
  }

  get size(): number {
    return this.#starts.length;
  }

  value(column: number): TupleValue {
    const start = this.#starts[column] ?? -2;
    if (start === -2) return undefined;
    if (start === -1) return null;
    return utf8.decode(this.#bytes.subarray(start, start + (this.#lengths[column] ?? 0)));
  }
}

/**
 * Reads one message of the output plugin `pgoutput`; those that say nothing about rows are `other`.
 *
 * @throws RangeError if it ends too early, Error if a part of it is none of the protocol.
 * @see https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
export function parsePgoutput(bytes: Uint8Array): PgoutputMessage {
  const at = new Reader(bytes);
  switch (at.letter()) {
    case 'B':
      at.skip(16);
      return { kind: 'begin', xid: at.uint32() };
    case 'C':
      at.skip(9);
      return { kind: 'commit', end: at.uint64() };
    case 'R':
      return relation(at);
    case 'I': {
      const id = at.uint32();
      at.expect('N');
      return { kind: 'insert', relation: id, row: at.tuple() };
    }
    case 'U': {
      const id = at.uint32();
      const which = at.expect('N', 'K', 'O');
      if (which === 'N') return { kind: 'update', relation: id, old: undefined, row: at.tuple() };
      const old = at.tuple();
      at.expect('N');
      return { kind: 'update', relation: id, old, row: at.tuple() };
    }
    case 'D': {
      const id = at.uint32();
      at.expect('K', 'O');
      return { kind: 'delete', relation: id, old: at.tuple() };
    }
    case 'T': {
      const count = at.uint32();
      at.skip(1);
      return { kind: 'truncate', relations: Array.from({ length: count }, () => at.uint32()) };
    }
    default:
      return { kind: 'other' };
  }
}

function relation(at: Reader): RelationMessage {
  const id = at.uint32();
  at.text();
  at.text();
  const full = at.letter() === 'f';
  const columns = Array.from({ length: at.uint16() }, () => {
    const flags = at.uint8();
    const identity = full || (flags & 1) === 1;
    const name = at.text();
    at.skip(8);
    return { name, identity };
  });
  return { kind: 'relation', id, columns };
}

/** Reads a message from its beginning to its end; integers are big-endian. */
class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  skip(bytes: number): void {
    this.#at += bytes;
    if (this.#at > this.#bytes.length) throw new RangeError('The message ends too early');
  }

  uint8(): number {
    return this.#view.getUint8(this.#moved(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#moved(2));
  }

  uint32(): number {
    return this.#view.getUint32(this.#moved(4));
  }

  uint64(): bigint {
    return this.#view.getBigUint64(this.#moved(8));
  }

  letter(): string {
    return String.fromCharCode(this.uint8());
  }

  expect(...letters: readonly string[]): string {
    const letter = this.letter();
    if (!letters.includes(letter)) throw new Error(`"${letter}" where pgoutput has ${letters.join(' or ')}`);
    return letter;
  }

  /** A text that ends with a zero byte. */
  text(): string {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) throw new RangeError('The message ends too early');
    const start = this.#moved(end + 1 - this.#at);
    return utf8.decode(this.#bytes.subarray(start, end));
  }

  tuple(): Tuple {
    const count = this.uint16();
    const starts: number[] = [];
    const lengths: number[] = [];
    for (let column = 0; column < count; column++) {
      const kind = this.expect('n', 'u', 't');
      const length = kind === 't' ? this.uint32() : 0;
      starts.push(kind === 'n' ? -1 : kind === 'u' ? -2 : this.#moved(length));
      lengths.push(length);
      if (this.#at > this.#bytes.length) throw new RangeError('The message ends too early');
    }
    return new Tuple(this.#bytes, starts, lengths);
  }

  /** Where it was. */
  #moved(bytes: number): number {
    const start = this.#at;
    this.#at += bytes;
    return start;
  }
}
