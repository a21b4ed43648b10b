/** How a {@link BatchedCalls} groups and bounds its calls. */
export interface CallShape<Item, Reply> {
  /** Items with the same group may travel together; on a cluster that is the slot. Absent: all may. */
  readonly groupOf?: (item: Item) => string;
  /** How many keys and characters an item brings. */
  readonly keysOf: (item: Item) => number;
  readonly lengthOf: (item: Item) => number;
  /** One call; the replies in the order of the items, an error where one item alone failed. */
  readonly send: (items: readonly Item[]) => Promise<readonly (Reply | Error)[]>;
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
  #items: Item[] = [];
  #waiting: PromiseWithResolvers<Reply>[] = [];
  /** How many there were when the flush was put off last. */
  #seen = 0;

  constructor(shape: CallShape<Item, Reply>) {
    this.#shape = shape;
  }

  call(item: Item): Promise<Reply> {
    const waiting = Promise.withResolvers<Reply>();
    this.#waiting.push(waiting);
    if (this.#items.push(item) === 1) {
      this.#seen = 0;
      queueMicrotask(this.#flush);
    }
    return waiting.promise;
  }

  /** The replies to items that are together already, sent now. Never rejects: an item that failed has an error. */
  async all(items: readonly Item[]): Promise<readonly (Reply | Error)[]> {
    const pieces = this.#pieces(items);
    if (pieces === undefined) return this.#send(items);
    const replies = new Array<Reply | Error>(items.length);
    const fill = async (piece: readonly number[]): Promise<void> => {
      const its = await this.#send(piece.map((position) => items[position] as Item));
      for (let index = 0; index < piece.length; index++) {
        replies[piece[index] as number] = its[index] as Reply | Error;
      }
    };
    await Promise.all(pieces.map(fill));
    return replies;
  }

  /** Sends what waits, so that it arrives before what is sent next. */
  flush(): void {
    const items = this.#items;
    if (items.length === 0) return;
    const waiting = this.#waiting;
    this.#items = [];
    this.#waiting = [];
    const pieces = this.#pieces(items);
    if (pieces === undefined) void this.#answer(items, waiting);
    else {
      for (const piece of pieces) {
        const its = piece.map((position) => items[position] as Item);
        void this.#answer(
          its,
          piece.map((position) => waiting[position] as PromiseWithResolvers<Reply>),
        );
      }
    }
  }

  readonly #flush = (): void => {
    const { length } = this.#items;
    if (length > this.#seen && length < mostItems) {
      this.#seen = length;
      queueMicrotask(this.#flush);
    } else this.flush();
  };

  async #answer(items: readonly Item[], waiting: readonly PromiseWithResolvers<Reply>[]): Promise<void> {
    const replies = await this.#send(items);
    for (let index = 0; index < waiting.length; index++) {
      const { resolve, reject } = waiting[index] as PromiseWithResolvers<Reply>;
      const reply = replies[index] as Reply | Error;
      if (reply instanceof Error) reject(reply);
      else resolve(reply);
    }
  }

  #send(items: readonly Item[]): Promise<readonly (Reply | Error)[]> {
    return this.#shape.send(items).catch((error) => items.map(() => error as Error));
  }

  /** The positions of the items of each call; `undefined` if one call can hold all of them. */
  #pieces(items: readonly Item[]): readonly (readonly number[])[] | undefined {
    const { groupOf, keysOf, lengthOf } = this.#shape;
    const pieces: number[][] = [];
    const open = new Map<string, { readonly piece: number[]; keys: number; length: number }>();
    for (let index = 0; index < items.length; index++) {
      const item = items[index] as Item;
      const group = groupOf?.(item) ?? '';
      const keys = keysOf(item);
      const length = lengthOf(item);
      let place = open.get(group);
      if (
        place === undefined ||
        place.piece.length === mostItems ||
        place.keys + keys > mostKeys ||
        place.length + length > mostLength
      ) {
        place = { piece: [], keys: 0, length: 0 };
        open.set(group, place);
        pieces.push(place.piece);
      }
      place.piece.push(index);
      place.keys += keys;
      place.length += length;
    }
    return pieces.length > 1 ? pieces : undefined;
  }
}
