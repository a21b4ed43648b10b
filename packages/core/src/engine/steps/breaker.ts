import { type Clock, elapsedMs } from '../../ports/clock.ts';

/** Failures in a row after which the breaker opens: one may be an accident, and reads wait for each. */
const failuresToOpen = 3;
/** How long it stays open before one call may try again. */
const openMs = 1_000;

/**
 * Keeps calls away from what does not answer.
 *
 * Closed, every call may pass; after {@link failuresToOpen} failures in a row it opens; after {@link openMs} one call
 * may probe, and closes it or opens it again.
 *
 * @see Nygard, Release It!, "Circuit Breaker"
 */
export class Breaker {
  readonly #clock: Clock;
  readonly #changed: (state: 'open' | 'closed') => void;
  #failures = 0;
  #openUntil = 0;
  #probing = false;

  constructor(clock: Clock, changed: (state: 'open' | 'closed') => void) {
    this.#clock = clock;
    this.#changed = changed;
  }

  get open(): boolean {
    return this.#openUntil !== 0;
  }

  /** Whether a call may be made now. Whoever makes it says how it ended. */
  allows(): boolean {
    if (!this.open) return true;
    if (this.#probing || elapsedMs(this.#clock) < this.#openUntil) return false;
    this.#probing = true;
    return true;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#probing = false;
    if (!this.open) return;
    this.#openUntil = 0;
    this.#changed('closed');
  }

  failed(): void {
    this.#failures++;
    this.#probing = false;
    if (this.#failures < failuresToOpen) return;
    const opens = !this.open;
    this.#openUntil = elapsedMs(this.#clock) + openMs;
    if (opens) this.#changed('open');
  }
}
