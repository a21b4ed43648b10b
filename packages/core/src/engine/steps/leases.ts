import type { Clock, Timer } from '../../ports/clock.ts';

/** A lease that somebody holds. */
export interface Lease {
  readonly wire: string;
  readonly token: string;
  /** When it is to be prolonged; set by {@link Leases}. */
  dueAt: number;
}

/**
 * Prolongs leases for as long as they are held. All of them have one timer: most loads end long before it is theirs, and
 * one for each would cost more than all else that is done for a lease.
 */
export class Leases {
  /** In the order in which they are due. */
  readonly #held = new Set<Lease>();
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #prolong: (lease: Lease) => void;
  #timer: Timer | undefined;

  constructor(clock: Clock, everyMs: number, prolong: (lease: Lease) => void) {
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#prolong = prolong;
  }

  hold(lease: Lease): void {
    this.#queue(lease, this.#clock.now());
    if (this.#timer === undefined) this.#wait(this.#everyMs);
  }

  drop(lease: Lease): void {
    this.#held.delete(lease);
    if (this.#held.size > 0) return;
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #queue(lease: Lease, now: number): void {
    lease.dueAt = now + this.#everyMs;
    this.#held.add(lease);
  }

  #wait(delayMs: number): void {
    this.#timer = this.#clock.setTimeout(this.#due, delayMs);
  }

  readonly #due = (): void => {
    const now = this.#clock.now();
    // Those that were prolonged come last, and are not due.
    for (const lease of this.#held) {
      // Later than one that was queued now: the clock was set back. The sums are compared, because a difference is rounded.
      if (lease.dueAt > now && lease.dueAt <= now + this.#everyMs) {
        this.#wait(lease.dueAt - now);
        return;
      }
      this.#held.delete(lease);
      this.#queue(lease, now);
      this.#prolong(lease);
    }
  };
}
