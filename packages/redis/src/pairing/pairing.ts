import type { Clock, Duration, RedisExecutor } from '@cachekit/core';
import type { RandomBytes } from '../secret.ts';
import type { WakeUp } from '../wake-up.ts';
import type { PairingPoll, PairingStatus } from './pairing-status.ts';

/** Options of `createPairing`. */
export interface PairingOptions {
  readonly redis: RedisExecutor;
  /** @defaultValue `'ck'` */
  readonly namespace?: string;
  /**
   * How long a code can be used, such as `"10m"`.
   *
   * @defaultValue 10 minutes
   */
  readonly ttl?: Duration;
  /**
   * How many wrong codes one who claims may give, and in what time, before he is locked out until it is over.
   *
   * @defaultValue 10 in 10 minutes
   */
  readonly attempts?: { readonly limit: number; readonly window: Duration };
  /**
   * How long who polls has to wait in between.
   *
   * @defaultValue 5 seconds
   */
  readonly interval?: Duration;
  /**
   * How `waitForClaim` learns of it.
   *
   * @defaultValue `'pubsub'`
   */
  readonly wakeUp?: WakeUp;
  readonly clock?: Clock;
  /** @defaultValue `crypto.getRandomValues` */
  readonly random?: RandomBytes;
}

/** A code that has been made. */
export interface NewPairing {
  /** For the person: to be typed or scanned. RFC 8628 calls it `user_code`. */
  readonly code: string;
  /** For the device that shows the code, and nobody else. RFC 8628 calls it `device_code`. */
  readonly secret: string;
  readonly expiresAt: Date;
  /** How long to wait between two calls of `poll`. */
  readonly intervalMs: number;
}

/**
 * How a claim ended.
 *
 * | outcome   | means                                                                                 |
 * | --------- | ------------------------------------------------------------------------------------- |
 * | `claimed` | the pairing is his; `first` is false if it was already, so a repetition does no harm |
 * | `taken`   | somebody else was faster                                                              |
 * | `unknown` | there is no such code, or no longer                                                   |
 * | `locked`  | too many wrong codes                                                                  |
 */
export type ClaimResult<T> =
  | { readonly outcome: 'claimed'; readonly first: boolean; readonly data: T; readonly expiresAt: Date }
  | { readonly outcome: 'taken' | 'unknown' }
  | { readonly outcome: 'locked'; readonly retryAfterMs: number };

/** Brings two together by a short code. Every method rejects within the timeout of the executor if Redis does not answer. */
export interface Pairing<T, R> {
  /** Makes a code that no other pairing has, with what its claimer is to get. */
  create(data: T): Promise<NewPairing>;
  /**
   * Uses a code. Small letters, spaces and dashes do not matter.
   *
   * @param claim - `by` is who claims. Wrong codes are counted for `from`, such as an address, or else for `by`.
   */
  claim(code: string, claim: { readonly by: string; readonly from?: string }): Promise<ClaimResult<T>>;
  /** Agrees, with an answer for the one who made the code. @returns Whether it is confirmed by this one. */
  confirm(code: string, decision: { readonly by: string; readonly answer: R }): Promise<boolean>;
  /** Refuses. @returns Whether it is denied by this one. */
  deny(code: string, decision: { readonly by: string }): Promise<boolean>;
  /** Where the pairing stands. */
  status(secret: string): Promise<PairingStatus<T, R>>;
  /** The same in the words of RFC 8628, `slow_down` among them; for a device that asks over HTTP. */
  poll(secret: string): Promise<PairingPoll<T, R>>;
  /**
   * Waits until somebody has used the code, or until it is decided, but not longer than the pairing lives.
   *
   * @returns Where it stands then; with `wait`, also when that is over.
   * @throws Whatever `signal` was aborted with.
   */
  waitForClaim(
    secret: string,
    options?: {
      readonly until?: 'claimed' | 'decided';
      readonly wait?: Duration;
      readonly signal?: AbortSignal;
    },
  ): Promise<PairingStatus<T, R>>;
  /** Ends the pairing. @returns Whether there was one. */
  cancel(secret: string): Promise<boolean>;
  /** Ends the subscription; who waits goes on by looking. */
  close(): Promise<void>;
}
