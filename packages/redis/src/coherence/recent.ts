import type { Clock } from '@cachekit/core';

/** What was added within the last few seconds: at least {@link Recent.keptMs} and at most twice as long. */
export class Recent<T> {
  static readonly keptMs = 5_000;
  readonly #clock: Clock;
  #since: number;
  #now = new Set<T>();
  #before = new Set<T>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.now();
  }

  add(item: T): void {
    this.#turn();
    this.#now.add(item);
  }

  has(item: T): boolean {
    this.#turn();
    return this.#now.has(item) || this.#before.has(item);
  }

  #turn(): void {
    const now = this.#clock.now();
    const age = now - this.#since;
    // Also after a clock that went back.
    if (age >= 0 && age < Recent.keptMs) return;
    this.#before = age >= 2 * Recent.keptMs ? new Set() : this.#now;
    this.#now = new Set();
    this.#since = now;
  }
}
