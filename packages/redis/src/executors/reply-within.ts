import type { Clock } from '@cachekit/core';
import { RedisUnavailableError } from '../errors.ts';

/**
 * The reply to what was sent, or a rejection with `RedisUnavailableError` if there is none within `timeoutMs`.
 *
 * When the time is over, one more turn of the event loop is allowed: after a loop that was blocked for longer than the
 * timeout, replies that wait in the socket are read before anything is given up.
 */
export function replyWithin<T>(
  work: Promise<T>,
  timeoutMs: number,
  clock: Clock,
  operation: string,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const late = (): void =>
      reject(
        new RedisUnavailableError(operation, { message: `no reply within ${timeoutMs} ms`, sent: true }),
      );
    let timer = clock.setTimeout(() => {
      timer = clock.setTimeout(late, 1);
    }, timeoutMs);
    work.then(
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
