/**
 * What was made for the texts seen lately. At most twice `most`: when the younger half is full the older one is forgotten,
 * and what is asked for is young again.
 */
export class Interned<T> {
  readonly #most: number;
  #younger = new Map<string, T>();
  #older = new Map<string, T>();

  constructor(most: number) {
    this.#most = most;
  }

  get(text: string): T | undefined {
    const young = this.#younger.get(text);
    if (young !== undefined) return young;
    const old = this.#older.get(text);
    if (old !== undefined) this.set(text, old);
    return old;
  }

  set(text: string, made: T): void {
    if (this.#younger.size >= this.#most) {
      this.#older = this.#younger;
      this.#younger = new Map();
    }
    this.#younger.set(text, made);
  }
}

/** As {@link Interned}, by two things: to write both as one text costs more than to look twice. */
export class InternedPairs<T> {
  readonly #most: number;
  #younger = new Map<string, Map<string | number, T>>();
  #older = this.#younger;
  /** How many came since the younger half was empty. */
  #arrivals = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get(one: string, other: string | number): T | undefined {
    const young = this.#younger.get(one)?.get(other);
    if (young !== undefined) return young;
    const old = this.#older.get(one)?.get(other);
    if (old !== undefined) this.set(one, other, old);
    return old;
  }

  set(one: string, other: string | number, made: T): void {
    if (++this.#arrivals > this.#most) {
      this.#older = this.#younger;
      this.#younger = new Map();
      this.#arrivals = 1;
    }
    let others = this.#younger.get(one);
    if (others === undefined) {
      others = new Map();
      this.#younger.set(one, others);
    }
    others.set(other, made);
  }
}
