import { type Clock, withDeadline } from '@cachekit/core';
import { RedisUnavailableError } from '../errors.ts';

/** The reply to what was sent, or a rejection with `RedisUnavailableError` if there is none within `timeoutMs`. */
export function replyWithin<T>(
  work: Promise<T>,
  timeoutMs: number,
  clock: Clock,
  operation: string,
): Promise<T> {
  return withDeadline(
    work,
    timeoutMs,
    clock,
    () => new RedisUnavailableError(operation, { message: `no reply within ${timeoutMs} ms`, sent: true }),
  );
}
