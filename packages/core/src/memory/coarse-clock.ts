import { type Clock, systemClock } from '../ports/clock.ts';

/** How old an answer may be while the process is idle enough for timers. */
const tickMs = 1;
/** How many answers one look at the clock is good for while it is not. */
const answersPerLook = 64;
/** After so many looks within a millisecond the next ones of that millisecond are spared. */
const looksPerTick = 64;

/**
 * The time of the machine, looked at once a millisecond by whoever asks often: a look costs more than the rest of a hit.
 *
 * Whoever asks seldom looks every time: a timer that ends what was seen costs as much as a hundred looks, and the kernel's
 * part comes on top. A clock that a test brings is asked every time too.
 */
export class CoarseClock {
  readonly #clock: Clock;
  readonly #exact: boolean;
  readonly #lapse: () => void;
  #now = 0;
  /** Answers that are left of the last look. */
  #left = 0;
  /** Looks of the same millisecond, one after the other. */
  #looks = 0;
  #armed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#exact = clock !== systemClock;
    this.#lapse = () => {
      this.#left = 0;
      this.#looks = 0;
      this.#armed = false;
    };
  }

  now(): number {
    if (this.#left > 0) {
      this.#left--;
      return this.#now;
    }
    return this.#look();
  }

  #look(): number {
    const now = this.#clock.now();
    if (this.#exact) return now;
    this.#looks = now === this.#now ? this.#looks + 1 : 0;
    this.#now = now;
    if (this.#armed) this.#left = answersPerLook;
    else if (this.#looks >= looksPerTick) {
      this.#left = answersPerLook;
      this.#armed = true;
      this.#clock.setTimeout(this.#lapse, tickMs);
    }
    return now;
  }
}
