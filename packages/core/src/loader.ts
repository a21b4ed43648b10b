/** What a loader is called with. */
export interface LoadContext<T> {
  /** Aborts when nobody waits any more, when `timeout.hard` is over, and at `close()`. */
  readonly signal: AbortSignal;
  /** The old value, if there is one still. */
  readonly stale: T | undefined;
}

/**
 * Gives the value of a key from where it really is.
 *
 * `null` means "does not exist" and is kept for `negativeTtl`; `undefined` is refused.
 */
export type Loader<T> = (context: LoadContext<T>) => T | Promise<T>;
