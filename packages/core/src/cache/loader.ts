import type { CacheTag } from '../keys/cache-key.ts';
import type { CachePolicy } from '../policy.ts';

/** What a loader may say of the value that it gives. How long it is served after its `ttl` is for those who read it to say. */
export interface LoadSettings extends Pick<CachePolicy, 'ttl' | 'negativeTtl'> {
  /**
   * Tags besides those of the key. A value of which one was invalidated during the load is stored nowhere, and given to
   * those only who had joined the load before.
   */
  readonly tags?: readonly CacheTag[];
}

/** What a loader is called with. Its functions may be taken from it. */
export interface LoadContext<T> {
  /** Aborts when nobody waits any more, when `timeout.hard` is over, and at `close()`. */
  readonly signal: AbortSignal;
  /** The old value, if there is one still. */
  readonly stale: T | undefined;
  /**
   * Gives the old value, to be returned: it still holds, keeps its tags, and begins a new life without being written again,
   * unless `set` adds a tag.
   *
   * @throws ArgumentError `INVALID_ARGUMENT` where there is none, so look at `stale` first.
   */
  readonly notModified: () => T;
  /** Gives the value a ttl and tags of its own. Of what is set twice the last counts; tags add up. */
  readonly set: (settings: LoadSettings) => void;
}

/**
 * Gives the value of a key from where it really is.
 *
 * `null` means "does not exist" and is kept for `negativeTtl`; `undefined` is refused. It runs in the async context
 * (`AsyncLocalStorage`, the span of a trace) of the caller who gave it, which is the one who asked first.
 *
 * @example
 * const rates: Loader<Rates> = async ({ stale, notModified, set }) => {
 *   const answer = await fetchRates(stale?.etag);
 *   if (answer.status === 304) return notModified();
 *   set({ ttl: answer.maxAgeMs });
 *   return answer.rates;
 * };
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
