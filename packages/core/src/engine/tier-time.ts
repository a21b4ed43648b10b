import type { Clock } from '../ports/clock.ts';
import type { TierClock } from '../ports/remote-tier.ts';

/** How fast two clocks may drift apart: 100 parts per million, more than any quartz does. */
const drift = 1e-4;

/**
 * The tier's time, told from the clock of this process, and the clock of a process without a remote tier.
 *
 * What a tier answers to a call is its clock somewhere between sending and answer; the middle is off by half the round
 * trip at most. The answer that is off least counts, until drift has made it as bad as the newest one: a process that
 * was busy when an answer came does not get its time from that.
 */
export class TierTime {
  /** Whether the tier's clock was seen yet. */
  known = false;

  readonly #clock: Clock;
  #offsetMs = 0;
  #errorMs = 0;
  #observedAt = 0;
  #last: TierClock = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The tier said `clock` to a call that was sent at `sentAt` and is answered now. */
  observe(clock: TierClock, sentAt: number): void {
    const now = this.#clock.now();
    const errorMs = (now - sentAt) / 2;
    if (this.known && errorMs > this.#errorMs + Math.abs(now - this.#observedAt) * drift) return;
    this.#offsetMs = clock / 1_000 - (sentAt + now) / 2;
    this.#errorMs = errorMs;
    this.#observedAt = now;
    this.known = true;
  }

  /** The next moment of a process that is its own tier: always later than the one before. */
  tick(): TierClock {
    this.#last = Math.max(this.#last + 1, this.#clock.now() * 1_000);
    return this.#last;
  }

  /** The tier's present clock, as far as can be told from here. */
  estimate(): TierClock {
    return Math.max(this.#last, Math.floor((this.#clock.now() + this.#offsetMs) * 1_000));
  }

  /** A moment of the tier, in milliseconds, by the clock of this process. */
  toLocal(tierMs: number): number {
    return tierMs - this.#offsetMs;
  }

  /** A moment of this process, in milliseconds, by the tier's clock. */
  toTier(localMs: number): number {
    return localMs + this.#offsetMs;
  }
}
