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
