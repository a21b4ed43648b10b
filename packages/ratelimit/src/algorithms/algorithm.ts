/** How much in how much time. */
export interface Rule {
  /** Tokens per window; an integer from 1. */
  readonly limit: number;
  /** Length of the window in whole milliseconds. */
  readonly windowMs: number;
}

/**
 * What is kept of one key: an instant at which the key may be forgotten, and one integer.
 *
 * In Redis the instant is the expiry of the key and the integer its value, so a state that says nothing any more
 * costs nothing, and none can outlive its window.
 */
export interface LimitState {
  /** Milliseconds, on the clock that `now` is read from. */
  readonly expiresAt: number;
  readonly value: number;
}

/** What one policy says to one request. */
export interface Step {
  /** Whether the cost fits. */
  readonly fits: boolean;
  /** The state that follows: with the cost taken if it fits, else the state as it was. */
  readonly expiresAt: number;
  readonly value: number;
  /** Tokens left in that state. */
  readonly remaining: number;
  /** Time until the same cost fits if nobody takes anything meanwhile; 0 if it fits, `Infinity` if it never can. */
  readonly retryAfterMs: number;
  /** Time until the whole limit is there again. */
  readonly resetMs: number;
}

/**
 * A rule of counting, written twice: as a function and as Lua that runs in Redis.
 *
 * Both compute with integers below 2^53 only, so both give the same answer to the same question.
 */
export interface Algorithm {
  readonly name: 'gcra' | 'fixedWindow';
  /** Part of every key; changes when the meaning of the state does. */
  readonly version: string;
  /** Pure. A cost of 0 looks without taking. */
  next(state: LimitState | undefined, rule: Rule, cost: number, now: number): Step;
  /**
   * Body of a Lua function of `key, ttl, limit, window, cost`, where `ttl` is between 0 and `window`.
   *
   * It returns the value it found, and, if the cost fits, the time to live (0: as it is) and the value to store.
   */
  readonly lua: string;
}
