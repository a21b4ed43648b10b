import type { Clock } from '../ports/clock.ts';

/** Pauses of one loop. A wake-up while nobody sleeps is remembered, so none is lost in between. */
export class Sleeper {
  readonly #clock: Clock;
  #woken = false;
  #ended = false;
  #endSleep: (() => void) | undefined;
  #endPause: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** There is something to do: ends `sleep`. */
  wake(): void {
    this.#woken = true;
    this.#endSleep?.();
  }

  /** The loop is to end: ends `sleep` and `pause`, also those to come. */
  end(): void {
    this.#ended = true;
    this.#endSleep?.();
    this.#endPause?.();
  }

  /** Whether a wake-up came since the last time this was asked. */
  takeWake(): boolean {
    const woken = this.#woken;
    this.#woken = false;
    return woken;
  }

  /** Ends after `ms`, or at once if a wake-up came before or comes meanwhile. Does not take the wake-up. */
  async sleep(ms: number): Promise<void> {
    if (this.#woken) return;
    await this.#wait(ms, (end) => {
      this.#endSleep = end;
    });
  }

  /** Ends after `ms`, whatever wakes. */
  async pause(ms: number): Promise<void> {
    await this.#wait(ms, (end) => {
      this.#endPause = end;
    });
  }

  async #wait(ms: number, keep: (end: (() => void) | undefined) => void): Promise<void> {
    if (this.#ended) return;
    await new Promise<void>((resolve) => {
      const timer = this.#clock.setTimeout(resolve, ms);
      keep(() => {
        this.#clock.clearTimeout(timer);
        resolve();
      });
    });
    keep(undefined);
  }
}
