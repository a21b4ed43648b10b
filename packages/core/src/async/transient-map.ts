/** How many may come before the table of a `Map` is left behind. */
export const mostArrivals = 1_024;

/**
 * The same in a new `Map`, for one whose members come and go.
 *
 * A `Map` that makes room leaves its table, and that leads on to the next one. Once a table that was left is old, everything
 * that came after it survives each collection but a full one, and collecting becomes the greater part of the work. What the
 * whole `Map` leaves leads nowhere.
 */
export function leftBehind<Key, Value>(map: Map<Key, Value>): Map<Key, Value> {
  // Many are old before they go, and to copy them would cost too much.
  return map.size < mostArrivals ? new Map(map) : map;
}

/** A `Map` for what comes and goes, which is {@link leftBehind} now and then. */
export class TransientMap<Key, Value> {
  #map = new Map<Key, Value>();
  #arrivals = 0;

  get size(): number {
    return this.#map.size;
  }

  get(key: Key): Value | undefined {
    return this.#map.get(key);
  }

  set(key: Key, value: Value): void {
    if (++this.#arrivals > mostArrivals) {
      this.#arrivals = 0;
      this.#map = leftBehind(this.#map);
    }
    this.#map.set(key, value);
  }

  delete(key: Key): boolean {
    return this.#map.delete(key);
  }

  /** Those that are there now; what comes later may be missing. */
  entries(): Iterable<[Key, Value]> {
    return this.#map.entries();
  }

  keys(): Iterable<Key> {
    return this.#map.keys();
  }
}
