import { ConfigurationError } from '@cachekit/core';
import type { Policy } from './policy.ts';
import { longestLogMs, mostLogged } from './token-log.ts';

/** Refuses what a log of tokens cannot keep, and says what can be taken instead. */
export function boundedLog(maker: 'slidingWindow' | 'concurrency', policy: Policy): Policy {
  if (policy.limit > mostLogged) {
    const instead =
      maker === 'slidingWindow' ? '; for more take gcra(), which keeps one number for any limit' : '';
    throw new ConfigurationError(
      `${maker}: limit: ${policy.limit} is too much; at most ${mostLogged}${instead}`,
    );
  }
  if (policy.windowMs > longestLogMs) {
    throw new ConfigurationError(
      `${maker}: ${maker === 'concurrency' ? 'lease' : 'window'}: ${policy.windowMs} ms is too long; at most 24 days`,
    );
  }
  return policy;
}
