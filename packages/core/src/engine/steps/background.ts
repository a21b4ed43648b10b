/** Work that nobody waits for: its failures are somebody else's to tell, and `drain` waits for its end. */
export class Background {
  #running = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  /** Never rejects and never lets a rejection go unhandled. */
  run(work: Promise<unknown>): void {
    this.begin();
    work.then(this.end, this.end);
  }

  /** Work begins that says itself when it ends. */
  begin(): void {
    this.#running++;
  }

  readonly end = (): void => {
    if (--this.#running > 0) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  };

  /** Resolves once nothing runs any more. */
  async drain(): Promise<void> {
    while (this.#running > 0) {
      this.#idle ??= Promise.withResolvers();
      await this.#idle.promise;
    }
  }
}
