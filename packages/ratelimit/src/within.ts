import type { Clock } from '@cachekit/core';
import { RateLimitStoreError } from './errors.ts';

/**
 * The answer of a store, or a rejection after `timeoutMs`; an answer that comes later is dropped.
 *
 * @throws RateLimitStoreError `RATE_LIMIT_STORE` when the time is over.
 */
export function within<T>(answer: Promise<T>, timeoutMs: number, clock: Clock, store: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimeout(
      () => reject(new RateLimitStoreError(store, `No answer from ${store} within ${timeoutMs} ms`)),
      timeoutMs,
    );
    answer.then(
      (value) => {
        clock.clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clock.clearTimeout(timer);
        reject(error);
      },
    );
  });
}
