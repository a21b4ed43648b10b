/** Work that nobody waits for: its failures are somebody else's to tell, and `drain` waits for its end. */
export class Background {
  readonly #running = new Set<Promise<void>>();

  /** Never rejects and never lets a rejection go unhandled. */
  run(work: Promise<unknown>): void {
    const running: Promise<void> = work.then(nothing, nothing).then(() => {
      this.#running.delete(running);
    });
    this.#running.add(running);
  }

  /** Resolves once nothing runs any more. */
  async drain(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}

function nothing(): void {}
