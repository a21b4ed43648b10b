import type { Clock } from '@cachekit/core';
import { RateLimitStoreError } from './errors.ts';

/**
 * The answer of a store, or a rejection after `timeoutMs`; an answer that comes later is dropped.
 *
 * When the time is over, one more turn of the event loop is allowed: after a loop that was blocked for longer than
 * the timeout, an answer that waits in the socket is read before the store is called unavailable.
 *
 * @throws RateLimitStoreError `RATE_LIMIT_STORE` when the time is over.
 */
export function within<T>(answer: Promise<T>, timeoutMs: number, clock: Clock, store: string): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer = clock.setTimeout(() => {
      timer = clock.setTimeout(
        () =>
          reject(
            new RateLimitStoreError(store, `No answer from ${store} within ${timeoutMs} ms`, {
              timedOut: true,
            }),
          ),
        1,
      );
    }, timeoutMs);
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
