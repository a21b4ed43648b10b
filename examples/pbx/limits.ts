import type { Duration } from '@cachekit/core';
import {
  createRateLimiter,
  fixedWindow,
  gcra,
  type LimitStore,
  type RateLimiter,
  slidingWindow,
} from '@cachekit/ratelimit';

/** What is limited, how, and whom each limit counts. */
const policies = {
  /** Everything under `/api`, by account: a bucket, because a page that opens asks for many things at once. */
  api: gcra({ limit: 3_000, window: '1m' }),
  /** Each route of it, by account and route. */
  route: slidingWindow({ limit: 1_200, window: '1m' }),
  /** New calls, by account: never more than sixty in any minute. */
  calls: slidingWindow({ limit: 60, window: '1m' }),
  /** Commands, by device: ten, and then none until a minute has passed since the first. */
  commands: fixedWindow({ limit: 10, window: '60s' }),
  /** Codes that devices ask for, by address: they belong to no account yet. */
  codes: slidingWindow({ limit: 20, window: '1m' }),
};

export type PbxLimiter = RateLimiter<keyof typeof policies>;

/** Counts in the store that is given: Redis for all processes, memory where there is only one. */
export function limitsIn(store: LimitStore, timeout: Duration | undefined): PbxLimiter {
  return createRateLimiter({ policies, store, ...(timeout !== undefined && { timeout }) });
}
