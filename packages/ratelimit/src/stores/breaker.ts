import type { Clock } from '@cachekit/core';

const failuresToOpen = 5;
const probeEveryMs = 250;

/**
 * Stops asking a store that fails, and finds out when it answers again.
 *
 * | state     | a check                | how it ends                                                               |
 * | --------- | ---------------------- | ------------------------------------------------------------------------- |
 * | closed    | asks the store         | after five checks in a row that failed: open                              |
 * | open      | is refused at once     | at a check 250 ms after the last probe began: half-open                   |
 * | half-open | is refused at once     | the probe, which counts nothing, is answered: closed; fails: open         |
 *
 * The first probe goes out when it opens.
 */
export class Breaker {
  readonly #clock: Clock;
  readonly #probe: (key: string) => Promise<unknown>;
  readonly #onChange: (closed: boolean) => void;
  #failures = 0;
  #open = false;
  #probing = false;
  #probedAt = 0;

  constructor(clock: Clock, probe: (key: string) => Promise<unknown>, onChange: (closed: boolean) => void) {
    this.#clock = clock;
    this.#probe = probe;
    this.#onChange = onChange;
  }

  /** Whether the store may be asked; if not, it may be probed with this key. */
  allows(key: string): boolean {
    if (this.#open) this.#probeInTime(key);
    return !this.#open;
  }

  #probeInTime(key: string): void {
    const now = this.#clock.now();
    // A clock that is set back must not postpone the probe for as long.
    const sinceMs = Math.abs(now - this.#probedAt);
    if (!this.#probing && sinceMs >= probeEveryMs) {
      this.#probing = true;
      this.#probedAt = now;
      this.#probe(key).then(
        () => this.succeeded(),
        () => {
          this.#probing = false;
        },
      );
    }
  }

  succeeded(): void {
    this.#failures = 0;
    this.#probing = false;
    if (!this.#open) return;
    this.#open = false;
    this.#onChange(true);
  }

  failed(checks: number, key: string): void {
    this.#failures += checks;
    if (this.#open || this.#failures < failuresToOpen) return;
    this.#open = true;
    this.#probedAt = this.#clock.now() - probeEveryMs;
    this.#onChange(false);
    this.#probeInTime(key);
  }
}
