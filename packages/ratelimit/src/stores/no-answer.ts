import { RateLimitStoreError } from '../errors.ts';

/** Redis did not answer in time. */
export function noAnswer(timeoutMs: number): RateLimitStoreError {
  return new RateLimitStoreError('redis', `No answer from redis within ${timeoutMs} ms`, { timedOut: true });
}
