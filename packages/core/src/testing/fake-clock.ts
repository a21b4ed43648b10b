import type { Clock, Timer } from '../ports/clock.ts';

interface FakeTimer {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/**
 * A clock that stands still until a test moves it.
 *
 * @example
 * const clock = new FakeClock();
 * const cache = createCache({ clock });
 * await clock.advance(60_000); // runs what is due on the way, in order, and lets promises settle in between
 */
export class FakeClock implements Clock {
  readonly #timers = new Set<FakeTimer>();
  #now: number;
  #order = 0;

  constructor(now = 1_750_000_000_000) {
    this.#now = now;
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.size;
  }

  /** The time it was moved to, milliseconds since the epoch. */
  now(): number {
    return this.#now;
  }

  /** Keeps the timer until the clock is moved past it. */
  setTimeout(run: () => void, delayMs: number): Timer {
    const timer = { at: this.#now + Math.max(0, delayMs), order: this.#order++, run };
    this.#timers.add(timer);
    return timer;
  }

  /** Ends a timer that has not run. */
  clearTimeout(timer: Timer | undefined): void {
    this.#timers.delete(timer as FakeTimer);
  }

  /** Moves time on; timers run at their time, and what they set on the way runs too if it is due. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settled();
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
      await settled();
    }
    this.#now = end;
  }

  #next(end: number): FakeTimer | undefined {
    let next: FakeTimer | undefined;
    for (const timer of this.#timers) {
      if (timer.at > end) continue;
      if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) {
        next = timer;
      }
    }
    return next;
  }
}

/** Lets chains of promises that wait for nothing else run to their end. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await Promise.resolve();
}
