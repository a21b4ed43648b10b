import type { Clock, Timer } from '../ports/clock.ts';
import { TransientMap } from './transient-map.ts';

/**
 * Says of each item when its time is over, which is as long for all of them. They have one timer: most leave long before it
 * is theirs, and one for each would cost more than all else that is done for them.
 */
export class DueQueue<Item> {
  /** When each is due, in that order. */
  readonly #items = new TransientMap<Item, number>();
  readonly #clock: Clock;
  readonly #afterMs: number;
  readonly #over: (item: Item) => void;
  #timer: Timer | undefined;

  /** @param over - Told of an item whose time is over, and that has left by then. */
  constructor(clock: Clock, afterMs: number, over: (item: Item) => void) {
    this.#clock = clock;
    this.#afterMs = afterMs;
    this.#over = over;
  }

  get size(): number {
    return this.#items.size;
  }

  add(item: Item): void {
    this.#items.set(item, this.#clock.now() + this.#afterMs);
    if (this.#timer === undefined) this.#wait(this.#afterMs);
  }

  delete(item: Item): void {
    this.#items.delete(item);
    if (this.#items.size > 0) return;
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #wait(delayMs: number): void {
    this.#timer = this.#clock.setTimeout(this.#due, delayMs);
  }

  readonly #due = (): void => {
    const now = this.#clock.now();
    const over: Item[] = [];
    this.#timer = undefined;
    for (const [item, dueAt] of this.#items.entries()) {
      // Later than one that came now: the clock was set back. The sums are compared, because a difference is rounded.
      if (dueAt > now && dueAt <= now + this.#afterMs) {
        this.#wait(dueAt - now);
        break;
      }
      this.#items.delete(item);
      over.push(item);
    }
    for (const item of over) this.#over(item);
  };
}
