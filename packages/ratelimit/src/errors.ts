import { CacheKitError } from '@cachekit/core';

/**
 * The store of the limits did not answer in time or failed.
 *
 * Thrown by checks with `onUnavailable: 'throw'` only; otherwise it is the `unavailable` of the decision. `cause` is
 * the error of the client, if it gave one.
 */
export class RateLimitStoreError extends CacheKitError<'RATE_LIMIT_STORE'> {
  /** Which store. */
  readonly store: string;
  /** Whether there was no answer in time; else the store refused, or was not asked because it had not answered others. */
  readonly timedOut: boolean;

  constructor(store: string, message: string, options?: { cause?: unknown; timedOut?: boolean }) {
    super('RATE_LIMIT_STORE', message, options);
    this.store = store;
    this.timedOut = options?.timedOut ?? false;
  }
}

/** What a store failed with, as the one typed error. */
export function storeError(store: string, error: unknown): RateLimitStoreError {
  if (error instanceof RateLimitStoreError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new RateLimitStoreError(store, `The limits cannot be counted in ${store}: ${reason}`, {
    cause: error,
  });
}
