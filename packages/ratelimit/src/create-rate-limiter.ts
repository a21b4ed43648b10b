import { assertKnownOptions, ConfigurationError, durationMs, systemClock } from '@cachekit/core';
import type { Policy } from './algorithms/policy.ts';
import type { RateLimiter, RateLimiterOptions } from './limiter.ts';
import type { OnUnavailable } from './on-unavailable.ts';
import { storeLimiter } from './store-limiter.ts';

const policyName = /^[A-Za-z][A-Za-z0-9_-]{0,31}$/;
const unavailableAnswers: readonly OnUnavailable[] = ['local', 'open', 'closed', 'throw'];
const options = ['policies', 'store', 'timeout', 'onUnavailable', 'instances', 'allow', 'deny', 'clock'];

/**
 * Makes a limiter: several policies, one decision, all or nothing.
 *
 * Nothing connects before the first check.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an option, a policy name or a duration that is none.
 * @example
 * const limiter = createRateLimiter({
 *   policies: {
 *     api: gcra({ limit: 60, window: '1m' }),
 *     commands: fixedWindow({ limit: 10, window: '60s' }),
 *   },
 *   store: redisStore({ redis }),
 * });
 * const { allowed } = await limiter.consume({ api: [userId] });
 */
export function createRateLimiter<Name extends string>(given: RateLimiterOptions<Name>): RateLimiter<Name> {
  assertKnownOptions('createRateLimiter', given, options);
  const { store, onUnavailable = 'local', instances = 1, allow, deny, clock = systemClock } = given;
  const policies = checkedPolicies(given.policies);
  const timeoutMs = durationMs(given.timeout ?? 150, 'createRateLimiter: timeout');
  if (!unavailableAnswers.includes(onUnavailable)) {
    throw new ConfigurationError(
      `createRateLimiter: onUnavailable: "${String(onUnavailable)}" is none; give ${unavailableAnswers.join(', ')}`,
    );
  }
  if (typeof store?.open !== 'function') {
    throw new ConfigurationError('createRateLimiter: store: give redisStore({ redis }) or memoryStore()');
  }
  if (!Number.isSafeInteger(instances) || instances < 1) {
    throw new ConfigurationError(
      `createRateLimiter: instances: ${String(instances)} is none; give an integer from 1`,
    );
  }
  for (const [name, predicate] of Object.entries({ allow, deny })) {
    if (predicate !== undefined && typeof predicate !== 'function') {
      throw new ConfigurationError(`createRateLimiter: ${name}: give a function`);
    }
  }
  const limiter = storeLimiter({ policies, store, timeoutMs, onUnavailable, instances, allow, deny, clock });
  // Policies are looked up by name only, so a limiter of these names is one of any.
  return limiter as unknown as RateLimiter<Name>;
}

function checkedPolicies(policies: Readonly<Record<string, Policy>>): Readonly<Record<string, Policy>> {
  const names = Object.keys(policies ?? {});
  if (names.length === 0) throw new ConfigurationError('createRateLimiter: policies: give at least one');
  for (const name of names) {
    if (!policyName.test(name)) {
      throw new ConfigurationError(
        `createRateLimiter: policies: ${JSON.stringify(name)} is no name; give a letter, then letters, digits, "-" or "_", up to 32`,
      );
    }
    if (typeof policies[name]?.algorithm?.next !== 'function') {
      throw new ConfigurationError(
        `createRateLimiter: policies: "${name}" is none; give gcra(...), fixedWindow(...), slidingWindow(...), quota(...) or concurrency(...)`,
      );
    }
  }
  return Object.freeze({ ...policies });
}
