import {
  assertKnownOptions,
  assertNamespace,
  defaultNamespace,
  type RedisArgument,
  type RedisExecutor,
} from '@cachekit/core';
import type { LimitState, Step } from '../algorithms/algorithm.ts';
import { allFit, stepAll } from '../algorithms/step-all.ts';
import type { LimitRequest, LimitStore } from './store.ts';
import { takeScript } from './take-script.ts';

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
 * Counts in Redis, for all processes together: one script call per check, by the clock of the server.
 *
 * Counting and expiring are one step, so there is no moment at which a key without an expiry is left behind; one that
 * somebody else made so begins anew with the next check.
 *
 * On Redis Cluster the keys of one check are in one slot: give the `tenant` when a check asks several policies.
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
  assertNamespace(namespace);
  return {
    name: 'redis',
    namespace,
    oneSlot: redis.capabilities.cluster,
    async check({ policies, keys, cost }: LimitRequest): Promise<readonly Step[]> {
      const args: RedisArgument[] = [cost];
      for (const { algorithm, limit, windowMs } of policies) args.push(algorithm.version, limit, windowMs);
      const reply = await redis.script(takeScript(policies), keys, args);
      const steps = stepAll(policies, statesOf(reply, keys.length), cost, 0);
      if (allFit(steps) !== ((reply as readonly unknown[])[0] === 1)) throw unexpected(reply);
      return steps;
    },
  };
}

/** The states before the check, at the instant 0 of the server's clock. */
function statesOf(reply: unknown, count: number): (LimitState | undefined)[] {
  if (!Array.isArray(reply) || reply.length !== 1 + 2 * count || !reply.every(Number.isSafeInteger)) {
    throw unexpected(reply);
  }
  const states: (LimitState | undefined)[] = [];
  for (let i = 1; i < reply.length; i += 2) {
    states.push(reply[i] > 0 ? { expiresAt: reply[i], value: reply[i + 1] } : undefined);
  }
  return states;
}

function unexpected(reply: unknown): Error {
  return new TypeError(`The limit script answered ${JSON.stringify(reply)}`);
}
