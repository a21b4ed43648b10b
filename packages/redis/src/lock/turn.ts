import type { Clock } from '@cachekit/core';
import { Bell } from '../wake-up.ts';

/** The wait of one call for its turn. */
export class Turn {
  readonly bell: Bell;
  /** Resolves when it is over. */
  readonly ended: Promise<void>;
  over = false;
  readonly #ended: () => void;
  #fence: number | undefined;

  constructor(clock: Clock) {
    this.bell = new Bell(clock);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#ended = resolve;
  }

  /** Nobody waits any longer. */
  readonly end = (): void => {
    this.over = true;
    this.bell.ring();
    this.#ended();
  };

  /** The lock was given to it, under this fencing token. */
  handOver(fence: number): void {
    this.#fence = fence;
    this.bell.ring();
  }

  /** The fencing token it was told, once. */
  takeFence(): number | undefined {
    const fence = this.#fence;
    this.#fence = undefined;
    return fence;
  }
}
