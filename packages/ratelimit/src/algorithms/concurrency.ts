import { assertKnownOptions, type Duration } from '@cachekit/core';
import type { Algorithm } from './algorithm.ts';
import { boundedLog } from './bounded-log.ts';
import { type Policy, policyWith, windowOf } from './policy.ts';
import { tokenLog } from './token-log.ts';

/** What {@link concurrency} takes. */
export interface ConcurrencyOptions {
  /** Slots; an integer from 1 to 4,096. */
  limit: number;
  /** How long a slot is held if nobody gives it back, because its process died; up to 24 days. */
  lease: Duration;
  /** Counts and tells, but denies nothing. */
  shadow?: boolean;
}

/**
 * So many at the same time: a slot is taken by `reserve()` and given back by `commit()` or `cancel()`.
 *
 * A slot that nobody gives back is free again after `lease`, so no crash leaves it taken. Work that takes longer than
 * the lease is no longer counted: choose one that is longer than the work.
 *
 * Cost: one key, O(log limit) comparisons and at most 16 kB read and written.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if the limit is no integer from 1 to 4,096 or the lease no time up
 * to 24 days.
 * @example
 * concurrency({ limit: 20, lease: '30s' });
 */
export function concurrency(options: ConcurrencyOptions): Policy {
  assertKnownOptions('concurrency', options, ['limit', 'lease', 'shadow']);
  const windowMs = windowOf('concurrency', 'lease', options.lease);
  return boundedLog(
    'concurrency',
    policyWith('concurrency', algorithm, options.limit, windowMs, options.shadow),
  );
}

const algorithm: Algorithm = tokenLog('concurrency', 'c1');
