/**
 * Remembers which keys left lately, by their hashes: as many departures as it has room for.
 *
 * A key that shares its slot with a later one is forgotten early. That costs one admission and no memory.
 */
export class Ghosts {
  readonly #room: number;
  readonly #mask: number;
  #hashes: Uint32Array | undefined;
  #departures: Uint32Array | undefined;
  #count = 0;

  /** @param room - How many departures ago a key may have left. */
  constructor(room: number) {
    this.#room = Math.max(1, Math.min(room, 1 << 24));
    this.#mask = 2 ** Math.ceil(Math.log2(this.#room * 2)) - 1;
  }

  add(hash: number): void {
    // Made with the first departure: most memories never fill.
    this.#hashes ??= new Uint32Array(this.#mask + 1);
    this.#departures ??= new Uint32Array(this.#mask + 1);
    const slot = hash & this.#mask;
    this.#hashes[slot] = hash;
    this.#departures[slot] = ++this.#count >>> 0;
  }

  /** Whether the key left lately; forgotten by the question. */
  take(hash: number): boolean {
    if (this.#hashes === undefined || this.#departures === undefined) return false;
    const slot = hash & this.#mask;
    const departure = this.#departures[slot] as number;
    if (this.#hashes[slot] !== hash || departure === 0) return false;
    this.#departures[slot] = 0;
    return (this.#count - departure) >>> 0 < this.#room;
  }
}
