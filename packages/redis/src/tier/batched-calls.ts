/** How a {@link BatchedCalls} groups and bounds its calls. */
export interface CallShape<Item, Reply> {
  /** Items with the same group may travel together; on a cluster that is the slot. */
  readonly groupOf: (item: Item) => string;
  /** How many keys and characters an item brings. */
  readonly keysOf: (item: Item) => number;
  readonly lengthOf: (item: Item) => number;
  /** One call; the replies in the order of the items. */
  readonly send: (items: readonly Item[]) => Promise<readonly Reply[]>;
  /** What the call of one item rejects with, where its reply is a failure. */
  readonly failureOf?: (reply: Reply) => Error | undefined;
}

interface Waiting<Item, Reply> {
  readonly item: Item;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: unknown) => void;
}

/** Per call: more would hold the server, and the replies of others, for too long. */
const mostItems = 64;
const mostKeys = 512;
const mostLength = 262_144;

/**
 * Sends what is asked in one tick as one call of a script for each group.
 *
 * The flush waits as long as every microtask brings something new, so that callers that are a few promises apart still
 * travel together. One call holds at most 64 items, 512 keys and 256 Ki characters, or one item that is larger.
 */
export class BatchedCalls<Item, Reply> {
  readonly #shape: CallShape<Item, Reply>;
  #waiting: Waiting<Item, Reply>[] = [];
  /** How many there were when the flush was put off last. */
  #seen = 0;

  constructor(shape: CallShape<Item, Reply>) {
    this.#shape = shape;
  }

  call(item: Item): Promise<Reply> {
    return new Promise<Reply>((resolve, reject) => {
      if (this.#waiting.push({ item, resolve, reject }) > 1) return;
      this.#seen = 0;
      queueMicrotask(this.#flush);
    });
  }

  readonly #flush = (): void => {
    const waiting = this.#waiting;
    if (waiting.length > this.#seen && waiting.length < mostItems) {
      this.#seen = waiting.length;
      queueMicrotask(this.#flush);
      return;
    }
    this.#waiting = [];
    if (waiting.length === 1) {
      void this.#send(waiting);
      return;
    }
    for (const group of Map.groupBy(waiting, ({ item }) => this.#shape.groupOf(item)).values()) {
      for (const piece of this.#pieces(group)) void this.#send(piece);
    }
  };

  #pieces(group: readonly Waiting<Item, Reply>[]): readonly (readonly Waiting<Item, Reply>[])[] {
    const pieces: Waiting<Item, Reply>[][] = [];
    let piece: Waiting<Item, Reply>[] = [];
    let keys = 0;
    let length = 0;
    for (const one of group) {
      const itsKeys = this.#shape.keysOf(one.item);
      const itsLength = this.#shape.lengthOf(one.item);
      const full = piece.length === mostItems || keys + itsKeys > mostKeys || length + itsLength > mostLength;
      if (piece.length > 0 && full) {
        pieces.push(piece);
        piece = [];
        keys = 0;
        length = 0;
      }
      piece.push(one);
      keys += itsKeys;
      length += itsLength;
    }
    pieces.push(piece);
    return pieces;
  }

  async #send(piece: readonly Waiting<Item, Reply>[]): Promise<void> {
    try {
      const replies = await this.#shape.send(piece.map(({ item }) => item));
      for (let index = 0; index < piece.length; index++) {
        const { resolve, reject } = piece[index] as Waiting<Item, Reply>;
        const reply = replies[index] as Reply;
        const failure = this.#shape.failureOf?.(reply);
        if (failure === undefined) resolve(reply);
        else reject(failure);
      }
    } catch (error) {
      for (const { reject } of piece) reject(error);
    }
  }
}
