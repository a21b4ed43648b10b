/** Those who wait for one piece of work. Its signal aborts when all of them have gone. */
export class Holders {
  /** Somebody without a signal waits, who never goes. */
  #stays = false;
  #waiting = 0;
  #controller = new AbortController();

  constructor(signal: AbortSignal | undefined) {
    this.#add(signal);
  }

  /** Aborts when nobody waits any more; `undefined`: that cannot happen, unless somebody else joins. */
  get signal(): AbortSignal | undefined {
    return this.#stays ? undefined : this.#controller.signal;
  }

  /** The others wait for the same from now on. */
  join(others: Holders): this {
    this.#add(others.signal);
    return this;
  }

  #add(signal: AbortSignal | undefined): void {
    if (signal === undefined) {
      this.#stays = true;
      return;
    }
    if (signal.aborted) {
      if (this.#waiting === 0) this.#controller.abort(signal.reason);
      return;
    }
    // All had gone, but nobody took note of it yet.
    if (this.#controller.signal.aborted) this.#controller = new AbortController();
    this.#waiting += 1;
    const controller = this.#controller;
    const leave = (): void => {
      this.#waiting -= 1;
      if (this.#waiting === 0 && !this.#stays) controller.abort(signal.reason);
    };
    signal.addEventListener('abort', leave, { once: true });
  }
}
