import { ConfigurationError, type Duration, durationMs } from '@cachekit/core';

/**
 * The option `commandTimeout` of an executor in milliseconds.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if it is no duration, or 0.
 */
export function commandTimeoutMs(timeout: Duration): number {
  const ms = durationMs(timeout, 'commandTimeout');
  if (ms === 0) throw new ConfigurationError('commandTimeout: it must be more than 0');
  return ms;
}
