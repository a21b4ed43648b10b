import type { Duration } from '../duration.ts';

/** How a lock is asked for. */
export interface LockOptions {
  /** How long the lock outlives the process that holds it, such as `"10s"`; without `renew`, how long it is held at most. */
  readonly ttl: Duration;
  /**
   * How long to stand in the queue.
   *
   * @defaultValue 0: `undefined` at once if somebody else holds the lock
   */
  readonly wait?: Duration;
  /**
   * How many may hold the key at the same time: more than 1 makes a semaphore of it. All who use a key give the same.
   *
   * @defaultValue 1
   */
  readonly permits?: number;
  /** Ends the wait: the call rejects with its reason. It has no power over a lock that has been given. */
  readonly signal?: AbortSignal;
  /**
   * Whether the lock is prolonged by itself while the process lives.
   *
   * @defaultValue true
   */
  readonly renew?: boolean;
}

/**
 * How the release of a lock ended.
 *
 * | outcome    | means                                                                                     |
 * | ---------- | ----------------------------------------------------------------------------------------- |
 * | `released` | it was held until now, also if `signal` had been aborted because it was about to expire   |
 * | `lost`     | it had expired before, and somebody else may have held it meanwhile                       |
 * | `unknown`  | nobody answered; if it is still held, it expires by itself                                |
 */
export type ReleaseOutcome = 'released' | 'lost' | 'unknown';

/** A lock that is held. */
export interface Lease {
  /**
   * Greater than that of every holder of the same key before.
   *
   * Send it along with every write that the lock protects, and let the place that is written to refuse a smaller one.
   */
  readonly fencingToken: number;
  /** Aborts before the lock expires, with a `LockLostError` as reason, and when it is found to be lost. */
  readonly signal: AbortSignal;
  /**
   * Prolongs the lock by its `ttl` from now on.
   *
   * @returns Whether it was still held.
   */
  extend(): Promise<boolean>;
  /** Lets the next one in. It never rejects, so that it cannot take the place of what was done under the lock. */
  release(): Promise<ReleaseOutcome>;
}

/** What became of work that was to be done under a lock. */
export type LockedResult<T> =
  | {
      readonly acquired: true;
      readonly value: T;
      /** How the release ended: after `lost`, two may have worked at the same time. */
      readonly outcome: ReleaseOutcome;
    }
  | { readonly acquired: false };

/**
 * Gives locks, in the order in which they were asked for.
 *
 * A lock is for efficiency: a process that pauses for longer than its `ttl` loses it without being able to notice in
 * time. Only the fencing token, checked where the write lands, makes it correct.
 *
 * @see Martin Kleppmann, How to do distributed locking (2016)
 */
export interface LockProvider {
  /**
   * Acquires the lock, or stands in the queue for it.
   *
   * @returns `undefined` when somebody else holds it and `wait` is over.
   * @throws Whatever `signal` was aborted with.
   */
  lock(key: string, options: LockOptions): Promise<Lease | undefined>;
}
