import { CacheKitError } from '@cachekit/core';

/**
 * The store of the limits did not answer in time or failed.
 *
 * Thrown with `onUnavailable: 'throw'` only; otherwise it is the `unavailable` of the decision. `cause` is the error
 * of the client, if it gave one.
 */
export class RateLimitStoreError extends CacheKitError<'RATE_LIMIT_STORE'> {
  /** Which store. */
  readonly store: string;

  constructor(store: string, message: string, options?: { cause?: unknown }) {
    super('RATE_LIMIT_STORE', message, options);
    this.store = store;
  }
}
