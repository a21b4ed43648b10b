import { type Clock, elapsedMs, type Timer } from '../ports/clock.ts';
import { TransientMap } from './transient-map.ts';

/**
 * Says of each item when its time is over, which is as long for all of them.
 *
 * They have one timer, and it runs on when they leave: most leave long before it is theirs, and to set and clear one for each
 * costs more than all else that is done for them, in the kernel too. Nobody is told early, whoever sets the time of day meanwhile.
 *
 * One that is told has left by then, and may come again.
 *
 * @example
 * const late: string[] = [];
 * const calls = new DueQueue<{ name: string }>(systemClock, 20, ({ name }) => late.push(name));
 * const [answered, forgotten] = [{ name: 'answered' }, { name: 'forgotten' }];
 * calls.add(answered);
 * calls.add(forgotten);
 * calls.delete(answered);
 * await new Promise((resolve) => setTimeout(resolve, 60));
 * late; // ['forgotten']
 */
export class DueQueue<Item> {
  /** When each is due, in that order. */
  readonly #items = new TransientMap<Item, number>();
  readonly #clock: Clock;
  readonly #afterMs: number;
  readonly #over: (item: Item) => void;
  #timer: Timer | undefined;

  /** @param over - Told of an item whose time is over; in the async context of whoever set the timer. */
  constructor(clock: Clock, afterMs: number, over: (item: Item) => void) {
    this.#clock = clock;
    this.#afterMs = afterMs;
    this.#over = over;
  }

  /** How many there are. */
  get size(): number {
    return this.#items.size;
  }

  /** Begins the time of an item that is not there. */
  add(item: Item): void {
    this.#items.set(item, elapsedMs(this.#clock) + this.#afterMs);
    if (this.#timer === undefined) this.#wait(this.#afterMs);
  }

  /** The item leaves in time. */
  delete(item: Item): void {
    this.#items.delete(item);
  }

  /** All leave, and the timer with them. */
  clear(): void {
    for (const item of this.#items.keys()) this.#items.delete(item);
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #wait(delayMs: number): void {
    this.#timer = this.#clock.setTimeout(this.#due, delayMs);
  }

  readonly #due = (): void => {
    const now = elapsedMs(this.#clock);
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
