import { type Clock, systemClock } from '../ports/clock.ts';

/** How old an answer may be while the process is idle enough for timers. */
const tickMs = 1;
/** How many answers one look at the clock is good for while it is not. */
const answersPerLook = 64;

/**
 * The time of the machine, looked at once a millisecond: asking the machine costs more than the rest of a hit.
 *
 * A clock that a test brings is asked every time.
 */
export class CoarseClock {
  readonly #clock: Clock;
  readonly #exact: boolean;
  readonly #lapse: () => void;
  #now = 0;
  #left = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#exact = clock !== systemClock;
    this.#lapse = () => {
      this.#left = 0;
      this.#armed = false;
    };
  }

  #armed = false;

  now(): number {
    if (this.#left > 0) {
      this.#left--;
      return this.#now;
    }
    return this.#look();
  }

  #look(): number {
    this.#now = this.#clock.now();
    if (this.#exact) return this.#now;
    this.#left = answersPerLook;
    if (!this.#armed) {
      this.#armed = true;
      this.#clock.setTimeout(this.#lapse, tickMs);
    }
    return this.#now;
  }
}
