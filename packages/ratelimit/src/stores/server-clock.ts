import type { Clock } from '@cachekit/core';

const forgetAfterMs = 10_000;

/**
 * How far the server's clock is ahead of ours, at least.
 *
 * A reply was made before it was read, so server time in it minus time of reading is never too much, and the greatest
 * of them is the nearest. It is forgotten after ten seconds, because either clock may be moved.
 */
export class ServerClock {
  readonly #clock: Clock;
  #aheadMs: number | undefined;
  #learnedAt = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** 0 if nothing is known yet. */
  toServer(now: number): number {
    return this.#aheadMs === undefined ? 0 : now + this.#aheadMs;
  }

  learned(serverNow: number): void {
    const now = this.#clock.now();
    const aheadMs = serverNow - now;
    const ageMs = now - this.#learnedAt;
    if (this.#aheadMs === undefined || aheadMs >= this.#aheadMs || ageMs > forgetAfterMs || ageMs < 0) {
      this.#aheadMs = aheadMs;
      this.#learnedAt = now;
    }
  }
}
