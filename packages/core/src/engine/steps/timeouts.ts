import { DueQueue } from '../../async/due-queue.ts';
import type { Clock } from '../../ports/clock.ts';

/** Somebody who has so much time and no more. */
export interface Expiring {
  expired(): void;
}

/** Lengths of time that are kept ready while nobody has so much. */
const mostIdle = 16;

/** Tells those whose time is over; those who have the same time share a timer. */
export class Timeouts {
  readonly #clock: Clock;
  readonly #queues = new Map<number, DueQueue<Expiring>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  begin(who: Expiring, timeoutMs: number): void {
    let queue = this.#queues.get(timeoutMs);
    if (queue === undefined) {
      queue = new DueQueue(this.#clock, timeoutMs, expire);
      this.#queues.set(timeoutMs, queue);
    }
    queue.add(who);
  }

  end(who: Expiring, timeoutMs: number): void {
    const queue = this.#queues.get(timeoutMs);
    if (queue === undefined) return;
    queue.delete(who);
    if (queue.size > 0 || this.#queues.size <= mostIdle) return;
    queue.clear();
    this.#queues.delete(timeoutMs);
  }

  /** Nobody is told any more. */
  close(): void {
    for (const queue of this.#queues.values()) queue.clear();
    this.#queues.clear();
  }
}

function expire(who: Expiring): void {
  who.expired();
}
