import { ConfigurationError } from '@cachekit/core';
import type { RateLimiter } from './limiter.ts';

/**
 * @param what - The function that is named in errors.
 * @throws ConfigurationError `INVALID_CONFIGURATION` if `limiter` is none or has no such policy.
 */
export function assertPolicy(what: string, limiter: RateLimiter, policy: string): void {
  const policies = limiter?.policies;
  if (typeof policies !== 'object') {
    throw new ConfigurationError(`${what}: give a limiter of createRateLimiter()`);
  }
  if (!Object.hasOwn(policies, policy)) {
    throw new ConfigurationError(
      `${what}: no policy "${String(policy)}"; the limiter has ${Object.keys(policies).join(', ')}`,
    );
  }
}
