import type { Clock, Timer } from '../ports/clock.ts';

/**
 * Ends once, after a while. It is a timer and not a comparison of times, so a clock that is set back does not make it
 * longer.
 */
export class Countdown {
  readonly #clock: Clock;
  readonly #timer: Timer;
  #over = false;
  #end: (() => void) | undefined;

  constructor(clock: Clock, ms: number) {
    this.#clock = clock;
    this.#timer = clock.setTimeout(() => {
      this.#over = true;
      this.#end?.();
    }, ms);
  }

  /** Calls `end` when the time is over, also if it already is. */
  onEnd(end: () => void): void {
    this.#end = end;
    if (this.#over) end();
  }

  /** Ends the countdown; the signal aborts no more. */
  stop(): void {
    this.#end = undefined;
    this.#clock.clearTimeout(this.#timer);
  }
}
