import { LockLostError } from '../errors.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Lease, ReleaseOutcome } from '../ports/lock.ts';
import { Countdown } from './countdown.ts';

/** What a lease needs of the store that gave it. */
export interface LeaseParts {
  readonly key: string;
  readonly fencingToken: number;
  readonly ttlMs: number;
  readonly renew: boolean;
  readonly clock: Clock;
  /** Started by {@link leaseCountdown} before the lock was asked for. */
  readonly countdown: Countdown;
  /** Holds the lock for `ttlMs` from now on; `false` if it is no longer held. */
  readonly extend: () => Promise<boolean>;
  /** Gives the lock back; `false` if it is no longer held. */
  readonly release: () => Promise<boolean>;
}

/** The holder is told that early, as a part of `ttl`, but not earlier than a second. */
const marginPart = 0.1;
const mostMarginMs = 1_000;
/** A lock is renewed after this part of `ttl`; a renewal that failed is repeated after the other. */
const renewPart = 1 / 3;
const retryPart = 1 / 10;

/** Starts the time after which the holder of a lock must take it for lost. Call it before the store is asked. */
export function leaseCountdown(clock: Clock, ttlMs: number): Countdown {
  return new Countdown(clock, ttlMs - Math.min(ttlMs * marginPart, mostMarginMs));
}

/**
 * The life of a lock that is held, the same over every store.
 *
 * The time runs from before the store was asked, by a timer of this process, so it is over before the store's is.
 */
export class HeldLease implements Lease {
  readonly fencingToken: number;
  readonly #parts: LeaseParts;
  readonly #lost = new AbortController();
  #countdown: Countdown;
  #renewal: Timer | undefined;
  #released: Promise<ReleaseOutcome> | undefined;

  constructor(parts: LeaseParts) {
    this.#parts = parts;
    this.fencingToken = parts.fencingToken;
    this.#countdown = parts.countdown;
    this.#countdown.onEnd(this.#expire);
    if (parts.renew) this.#renewAfter(renewPart);
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  async extend(): Promise<boolean> {
    if (this.#released !== undefined || this.signal.aborted) return false;
    const { clock, ttlMs, extend } = this.#parts;
    const countdown = leaseCountdown(clock, ttlMs);
    let held: boolean;
    try {
      held = await extend();
    } catch (error) {
      countdown.stop();
      throw error;
    }
    if (this.#isOver()) {
      countdown.stop();
      return false;
    }
    if (!held) {
      countdown.stop();
      this.#lose('it was no longer held when it was to be prolonged');
      return false;
    }
    this.#countdown.stop();
    this.#countdown = countdown;
    countdown.onEnd(this.#expire);
    return true;
  }

  release(): Promise<ReleaseOutcome> {
    this.#released ??= this.#giveBack();
    return this.#released;
  }

  async #giveBack(): Promise<ReleaseOutcome> {
    this.#stop();
    try {
      return (await this.#parts.release()) ? 'released' : 'lost';
    } catch {
      return 'unknown';
    }
  }

  readonly #expire = (): void => {
    this.#lose(`it was not prolonged within ${this.#parts.ttlMs} ms`);
  };

  #lose(why: string): void {
    this.#stop();
    this.#lost.abort(new LockLostError(this.#parts.key, this.fencingToken, why));
  }

  #renewAfter(part: number): void {
    this.#renewal = this.#parts.clock.setTimeout(() => void this.#renew(), this.#parts.ttlMs * part);
  }

  async #renew(): Promise<void> {
    let next = renewPart;
    try {
      await this.extend();
    } catch {
      // The store may answer the next time; if it does not, the countdown tells the holder.
      next = retryPart;
    }
    if (!this.#isOver()) this.#renewAfter(next);
  }

  #isOver(): boolean {
    return this.#released !== undefined || this.signal.aborted;
  }

  #stop(): void {
    this.#countdown.stop();
    this.#parts.clock.clearTimeout(this.#renewal);
  }
}
