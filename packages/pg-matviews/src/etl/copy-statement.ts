/** The part of a connection of `pg` that a COPY uses. */
export interface PgCopyConnectionLike {
  query(text: string): void;
  sendCopyFromChunk(chunk: Uint8Array): void;
  endCopyFrom(): void;
  readonly stream: { pause(): unknown; resume(): unknown };
}

/** Bytes that may wait before the server is asked to pause. */
const highWater = 4 * 1024 * 1024;

/** A statement as `pg` takes it in place of a text; what COPY does not send is left out. */
abstract class CopyStatement {
  readonly done: Promise<void>;
  /** Set by the driver, which ends the timer of its `query_timeout` when it is called. */
  callback: ((error?: unknown) => void) | undefined;
  protected readonly text: string;
  #settle: (error?: unknown) => void = () => undefined;

  constructor(text: string) {
    this.text = text;
    this.done = new Promise((resolve, reject) => {
      this.#settle = (error) => {
        if (error === undefined) resolve();
        else reject(error);
        this.callback?.(error);
      };
    });
    this.done.catch(() => undefined);
  }

  submit(connection: PgCopyConnectionLike): void {
    connection.query(this.text);
  }

  handleError(error: unknown): void {
    this.#settle(error);
  }

  handleReadyForQuery(): void {
    this.#settle();
  }

  handleCommandComplete(): void {}

  handleCopyInResponse(connection: PgCopyConnectionLike): void {
    connection.endCopyFrom();
  }

  handleCopyData(_message: { readonly chunk: Uint8Array }, _connection: PgCopyConnectionLike): void {}
}

/** Bytes with the one method by which the driver takes them, so that no `Buffer` is needed. */
class Sendable extends Uint8Array<ArrayBufferLike> {
  copy(target: Uint8Array, at: number): void {
    target.set(this, at);
  }
}

/** COPY ... FROM STDIN with bytes that are there already. */
export class CopyIn extends CopyStatement {
  readonly #chunks: readonly Uint8Array[];

  constructor(text: string, chunks: readonly Uint8Array[]) {
    super(text);
    this.#chunks = chunks;
  }

  override handleCopyInResponse(connection: PgCopyConnectionLike): void {
    for (const { buffer, byteOffset, byteLength } of this.#chunks) {
      connection.sendCopyFromChunk(new Sendable(buffer, byteOffset, byteLength));
    }
    connection.endCopyFrom();
  }
}

/** COPY ... TO STDOUT as chunks; the server waits while nobody takes them. */
export class CopyOut extends CopyStatement {
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #dropping = false;
  #paused: PgCopyConnectionLike | undefined;
  #wake: () => void = () => undefined;

  override handleCopyData({ chunk }: { readonly chunk: Uint8Array }, connection: PgCopyConnectionLike): void {
    if (this.#dropping) return;
    // The driver reads the next bytes into the same memory.
    this.#chunks.push(new Uint8Array(chunk));
    this.#bytes += chunk.byteLength;
    if (this.#bytes > highWater && this.#paused === undefined) {
      this.#paused = connection;
      connection.stream.pause();
    }
    this.#wake();
  }

  /** To be iterated once; whoever stops early waits until the server has said everything. */
  async *chunks(): AsyncGenerator<readonly Uint8Array[]> {
    let open = true;
    const ended = this.done.finally(() => {
      open = false;
      this.#wake();
    });
    ended.catch(() => undefined);
    try {
      for (;;) {
        if (this.#chunks.length > 0) {
          const taken = this.#chunks;
          this.#chunks = [];
          this.#bytes = 0;
          yield taken;
          this.#resume();
        } else if (open) {
          const more = new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          if (this.#chunks.length === 0 && open) await more;
        } else {
          await this.done;
          return;
        }
      }
    } finally {
      this.#dropping = true;
      this.#chunks = [];
      this.#resume();
      await ended.catch(() => undefined);
    }
  }

  #resume(): void {
    this.#paused?.stream.resume();
    this.#paused = undefined;
  }
}
