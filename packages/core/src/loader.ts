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

/**
 * Gives the values of many ids in one call: a `Map` by id, or an array in the order of `ids`. An id without a value
 * does not exist, which is kept for `negativeTtl`.
 */
export type ManyLoader<Id, T> = (
  ids: readonly Id[],
  context: Pick<LoadContext<T>, 'signal'>,
) => ManyLoaded<Id, T> | Promise<ManyLoaded<Id, T>>;

/** What a {@link ManyLoader} gives. */
export type ManyLoaded<Id, T> = ReadonlyMap<Id, T> | readonly (T | null)[];
