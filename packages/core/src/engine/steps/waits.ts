import type { Clock } from '../../ports/clock.ts';

/** A place in the queue of those who wait for another process. */
export interface Wait {
  /** Resolves when somebody changed the key, when `delayMs` are over, or when `signal` aborts. */
  until(delayMs: number, signal: AbortSignal): Promise<void>;
  /** Gives the place up. */
  leave(): void;
}

/**
 * Those who wait for the load of another process.
 *
 * A place is taken before the read that says "somebody loads it", so that a commit between that read and the wait
 * still wakes; a poll behind it covers a push that got lost.
 */
export class Waits {
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  enter(wire: string): Wait {
    let woken = false;
    let wake = () => {
      woken = true;
    };
    const call = () => wake();
    let waiting = this.#waiting.get(wire);
    if (waiting === undefined) {
      waiting = new Set();
      this.#waiting.set(wire, waiting);
    }
    waiting.add(call);
    return {
      until: (delayMs, signal) =>
        new Promise((resolve) => {
          if (woken || signal.aborted) return resolve();
          const done = () => {
            this.#clock.clearTimeout(timer);
            signal.removeEventListener('abort', done);
            resolve();
          };
          const timer = this.#clock.setTimeout(done, delayMs);
          signal.addEventListener('abort', done);
          wake = done;
        }),
      leave: () => {
        const others = this.#waiting.get(wire);
        if (others === undefined) return;
        others.delete(call);
        if (others.size === 0) this.#waiting.delete(wire);
      },
    };
  }

  wake(wire: string): void {
    for (const call of this.#waiting.get(wire) ?? []) call();
  }

  wakeAll(): void {
    for (const wire of [...this.#waiting.keys()]) this.wake(wire);
  }
}
