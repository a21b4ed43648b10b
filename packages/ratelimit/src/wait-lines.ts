import { ArgumentError, type Clock } from '@cachekit/core';
import type { Decision } from './decision.ts';

/** Most who wait in one line; one more is denied at once. */
const longestLine = 1_000;
/** A timer may fire up to a millisecond early. */
const timerSlackMs = 1;

interface Waiter {
  readonly ask: () => Promise<Decision>;
  readonly until: number;
  readonly resolve: (decision: Decision) => void;
  readonly reject: (error: unknown) => void;
  readonly stop: () => void;
  over: boolean;
}

/**
 * Lines of those who wait for the same keys in this process: first come, first served.
 *
 * Only the first of a line asks, when its wait is over, so a long line costs no more than a short one.
 */
export class WaitLines {
  readonly #clock: Clock;
  readonly #lines = new Map<string, Waiter[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @param line - Names the keys.
   * @param ask - Takes, or says how long to wait.
   * @returns The decision that allows, or the last that did not when `maxWaitMs` is over or would be.
   */
  wait(
    line: string,
    ask: () => Promise<Decision>,
    maxWaitMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Decision> {
    if (signal !== undefined && typeof signal.addEventListener !== 'function') {
      throw new ArgumentError('wait: signal: give an AbortSignal');
    }
    signal?.throwIfAborted();
    const waiting = this.#lines.get(line);
    if (waiting !== undefined && waiting.length >= longestLine) return ask();
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        waiter.over = true;
        waiter.stop();
        reject(signal?.reason);
        this.#drop(line, waiter);
      };
      const waiter: Waiter = {
        ask,
        until: this.#clock.now() + maxWaitMs,
        resolve,
        reject,
        stop: () => signal?.removeEventListener('abort', leave),
        over: false,
      };
      signal?.addEventListener('abort', leave, { once: true });
      if (waiting !== undefined) {
        waiting.push(waiter);
        return;
      }
      this.#lines.set(line, [waiter]);
      void this.#serve(line);
    });
  }

  #drop(line: string, waiter: Waiter): void {
    const waiting = this.#lines.get(line);
    const index = waiting?.indexOf(waiter) ?? -1;
    // The first stays until its turn is over: it is being served.
    if (index > 0) waiting?.splice(index, 1);
    else if (index === 0) this.#wake.get(line)?.();
  }

  readonly #wake = new Map<string, () => void>();

  async #serve(line: string): Promise<void> {
    const waiting = this.#lines.get(line) as Waiter[];
    for (let waiter = waiting[0]; waiter !== undefined; waiter = waiting[0]) {
      await this.#serveOne(line, waiter);
      waiting.shift();
    }
    this.#lines.delete(line);
  }

  async #serveOne(line: string, waiter: Waiter): Promise<void> {
    try {
      while (!waiter.over) {
        const decision = await waiter.ask();
        const leftMs = waiter.until - this.#clock.now();
        if (decision.allowed || decision.retryAfterMs > leftMs) {
          waiter.over = true;
          waiter.stop();
          waiter.resolve(decision);
          return;
        }
        if (waiter.over) return;
        await this.#sleep(line, decision.retryAfterMs + timerSlackMs);
      }
    } catch (error) {
      waiter.over = true;
      waiter.stop();
      waiter.reject(error);
    }
  }

  #sleep(line: string, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimeout(() => wake(), ms);
      const wake = (): void => {
        this.#clock.clearTimeout(timer);
        this.#wake.delete(line);
        resolve();
      };
      this.#wake.set(line, wake);
    });
  }
}
