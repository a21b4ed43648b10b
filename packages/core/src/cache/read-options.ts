import { type CachePolicy, policyOptions } from '../policy.ts';
import type { TierClock } from '../ports/remote-tier.ts';

/** What one call may say: a policy of its own, how new the value has to be, and when the caller leaves. */
export interface ReadOptions extends CachePolicy {
  /**
   * The clock of an invalidation that the caller heard of: an entry whose load began earlier is a miss, one of exactly
   * this clock (a `set`) is not. A clock from the future is ignored.
   */
  readonly minClock?: TierClock;
  /** Lets this caller leave; the load is aborted when the last one has left. */
  readonly signal?: AbortSignal;
}

/** The members of {@link ReadOptions}. */
export const readOptions: readonly string[] = [...policyOptions, 'minClock', 'signal'];

/** What a look that loads nothing may say. */
export type GetOptions = Pick<ReadOptions, 'minClock'>;
