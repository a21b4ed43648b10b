import {
  assertExecutor,
  assertKnownOptions,
  assertNamespace,
  defaultNamespace,
  type RedisExecutor,
} from '@cachekit/core';
import { RedisSession } from './redis-session.ts';
import type { LimitSession, LimitStore, StoreContext } from './store.ts';

/** What a Redis store takes. */
export interface RedisStoreOptions {
  /** For instance `ioredisExecutor(client)` of `@cachekit/redis`. */
  redis: RedisExecutor;
  /**
   * First part of every key.
   * @defaultValue `'ck'`
   */
  namespace?: string;
}

/**
 * Counts in Redis, for all processes together: one script call per check, by the clock of the server. Checks that are
 * begun together, or while a call is under way, share one call.
 *
 * Counting and expiring are one step, so there is no moment at which a key without an expiry is left behind; one that
 * somebody else made so begins anew with the next check.
 *
 * A check that got no answer in time is not counted when Redis comes to it later, except by the very first call of
 * a process, which does not know the clock of the server yet.
 *
 * On Redis Cluster the keys of one tenant are in one slot, and a check of them is one step. Keys in several slots are
 * asked one slot after the other, the smallest limit first, and given back if a later one says no or does not answer.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if the namespace is none.
 * @example
 * const limiter = createRateLimiter({
 *   policies: { api: gcra({ limit: 60, window: '1m' }) },
 *   store: redisStore({ redis: ioredisExecutor(new Redis()) }),
 * });
 */
export function redisStore(options: RedisStoreOptions): LimitStore {
  assertKnownOptions('redisStore', options, ['redis', 'namespace']);
  const { redis, namespace = defaultNamespace } = options;
  assertExecutor('redisStore', redis);
  assertNamespace(namespace);
  return {
    name: 'redis',
    namespace,
    open: (context: StoreContext): LimitSession => new RedisSession(redis, context),
  };
}
