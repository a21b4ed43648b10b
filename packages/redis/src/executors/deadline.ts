import type { Clock } from '@cachekit/core';

/**
 * The outcome of `work`, or a rejection with `expired()` after `timeoutMs`. What `work` rejects with is told as `failed`
 * says.
 *
 * When the time is over, one more turn of the event loop is allowed: after a loop that was blocked for longer than the
 * timeout, replies that wait in the socket are read before anything is given up.
 */
export function withDeadline<T>(
  work: Promise<T>,
  timeoutMs: number,
  clock: Clock,
  expired: () => Error,
  failed: (error: unknown) => unknown = itself,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let timer = clock.setTimeout(() => {
      timer = clock.setTimeout(() => reject(expired()), 1);
    }, timeoutMs);
    work.then(
      (value) => {
        clock.clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clock.clearTimeout(timer);
        reject(failed(error));
      },
    );
  });
}

function itself(error: unknown): unknown {
  return error;
}
