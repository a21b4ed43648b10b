import type { Clock } from '@cachekit/core';

/** Sleep of one loop. A call to wake while nobody sleeps is remembered, so none is lost in between. */
export class Alarm {
  readonly #clock: Clock;
  #rung = false;
  #ended = false;
  #getUp: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ends the present sleep, or the next one at once. */
  ring(): void {
    this.#rung = true;
    this.#getUp?.();
  }

  /** Ends every sleep, now and from now on. */
  end(): void {
    this.#ended = true;
    this.#getUp?.();
  }

  /** Sleeps for `ms`, or until it rings if `light`. */
  async sleep(ms: number, light = true): Promise<void> {
    if (light && this.#rung) {
      this.#rung = false;
      return;
    }
    if (this.#ended || ms <= 0) return;
    await new Promise<void>((resolve) => {
      const timer = this.#clock.setTimeout(resolve, ms);
      this.#getUp = () => {
        if (!light && !this.#ended) return;
        this.#clock.clearTimeout(timer);
        resolve();
      };
    });
    this.#getUp = undefined;
    if (light) this.#rung = false;
  }
}
