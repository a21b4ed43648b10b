import type { Clock, Timer } from '@cachekit/core';

/** A clock that moves when a test says so. */
export class FakeClock implements Clock {
  #now: number;
  #timers = new Map<object, { at: number; run: () => void }>();

  constructor(now = 1_700_000_000_000) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  setTimeout(run: () => void, delayMs: number): Timer {
    const timer = {};
    this.#timers.set(timer, { at: this.#now + delayMs, run });
    return timer;
  }

  clearTimeout(timer: Timer | undefined): void {
    if (typeof timer === 'object') this.#timers.delete(timer);
  }

  /** Timers that are set. */
  get pending(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    this.#now += ms;
    for (const [timer, { at, run }] of this.#timers) {
      if (at > this.#now) continue;
      this.#timers.delete(timer);
      run();
    }
  }
}
