import {
  assertKnownOptions,
  type Clock,
  ConfigurationError,
  type Duration,
  durationMs,
  systemClock,
} from '@cachekit/core';
import type { Step } from './algorithms/algorithm.ts';
import { type Decision, decide, decideBlindly } from './decision.ts';
import { RateLimitStoreError } from './errors.ts';
import type { KeyParts } from './key.ts';
import type { Policy } from './policy.ts';
import { type ConsumeOptions, requestBuilder } from './request.ts';
import { memoryStore } from './stores/memory.ts';
import type { LimitRequest, LimitStore } from './stores/store.ts';
import { within } from './within.ts';

/**
 * What happens when the store fails or does not answer in time.
 *
 * | value    | the check                                                                     |
 * | -------- | ----------------------------------------------------------------------------- |
 * | `local`  | is counted in this process: each process then lets the whole limit pass       |
 * | `open`   | is allowed                                                                    |
 * | `closed` | is denied                                                                     |
 * | `throw`  | rejects with `RateLimitStoreError`                                            |
 */
export type OnUnavailable = 'local' | 'open' | 'closed' | 'throw';

/** What a limiter takes. */
export interface RateLimiterOptions<Name extends string> {
  /** Each policy under its name: a letter, then letters, digits, `-` and `_`, up to 32. */
  policies: Readonly<Record<Name, Policy>>;
  /** `redisStore({ redis })` or `memoryStore()`. */
  store: LimitStore;
  /**
   * How long a check waits for the store.
   * @defaultValue `150`
   */
  timeout?: Duration;
  /** @defaultValue `'local'` */
  onUnavailable?: OnUnavailable;
  /** @defaultValue the clock of the machine */
  clock?: Clock;
}

/** Decides whether requests pass. */
export interface RateLimiter<Name extends string = string> {
  readonly policies: Readonly<Record<Name, Policy>>;
  /**
   * Takes `cost` from every policy named in `ids`, or from none of them.
   *
   * A "no" is a value, never an exception. Answers within `timeout` whatever the store does.
   *
   * @param ids - For each policy to ask, whom it counts. With a `tenant`, `[]` counts the tenant as a whole.
   * @throws ArgumentError `INVALID_ARGUMENT` for an unknown policy, an empty id, a cost that is no integer from 1, or
   * several policies without a `tenant` on Redis Cluster.
   * @throws RateLimitStoreError `RATE_LIMIT_STORE` if the store is unavailable, with `onUnavailable: 'throw'` only.
   * @example
   * const decision = await limiter.consume({ api: [userId], commands: [deviceId] }, { tenant });
   * if (!decision.allowed) console.log(`again in ${decision.retryAfterMs} ms`, decision.violated);
   */
  consume<Used extends Name>(
    ids: Readonly<Record<Used, KeyParts>>,
    options?: ConsumeOptions,
  ): Promise<Decision<Used>>;
}

const policyName = /^[A-Za-z][A-Za-z0-9_-]{0,31}$/;
const unavailableAnswers: readonly OnUnavailable[] = ['local', 'open', 'closed', 'throw'];

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
export function createRateLimiter<Name extends string>(options: RateLimiterOptions<Name>): RateLimiter<Name> {
  assertKnownOptions('createRateLimiter', options, [
    'policies',
    'store',
    'timeout',
    'onUnavailable',
    'clock',
  ]);
  const { store, onUnavailable = 'local', clock = systemClock } = options;
  const policies = checkedPolicies(options.policies);
  const timeoutMs = durationMs(options.timeout ?? 150, 'createRateLimiter: timeout');
  if (!unavailableAnswers.includes(onUnavailable)) {
    throw new ConfigurationError(
      `createRateLimiter: onUnavailable: "${String(onUnavailable)}" is none; give ${unavailableAnswers.join(', ')}`,
    );
  }
  if (typeof store?.check !== 'function') {
    throw new ConfigurationError('createRateLimiter: store: give redisStore({ redis }) or memoryStore()');
  }
  const local = onUnavailable === 'local' ? memoryStore() : undefined;
  const requestOf = requestBuilder(policies, store);

  async function consume<Used extends Name>(
    ids: Readonly<Record<Used, KeyParts>>,
    call: ConsumeOptions = {},
  ): Promise<Decision<Used>> {
    const names = Object.keys(ids ?? {}) as Used[];
    const request = requestOf(names, ids, call, clock.now());
    let steps: readonly Step[];
    try {
      const answer = store.check(request);
      steps = answer instanceof Promise ? await within(answer, timeoutMs, clock, store.name) : answer;
    } catch (error) {
      return unavailable(names, request, storeError(store.name, error));
    }
    return decide(names, request.policies, steps, store.name);
  }

  function unavailable<Used extends Name>(
    names: readonly Used[],
    request: LimitRequest,
    error: RateLimitStoreError,
  ): Decision<Used> {
    if (local !== undefined) {
      // The memory store answers at once.
      const steps = local.check({ ...request, now: clock.now() }) as readonly Step[];
      return decide(names, request.policies, steps, 'local', error);
    }
    if (onUnavailable === 'open' || onUnavailable === 'closed') {
      return decideBlindly(names, request.policies, onUnavailable, error);
    }
    throw error;
  }

  return { policies: policies as Readonly<Record<Name, Policy>>, consume };
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
        `createRateLimiter: policies: "${name}" is none; give gcra(...) or fixedWindow(...)`,
      );
    }
  }
  return Object.freeze({ ...policies });
}

function storeError(store: string, error: unknown): RateLimitStoreError {
  if (error instanceof RateLimitStoreError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new RateLimitStoreError(store, `The limits cannot be counted in ${store}: ${reason}`, {
    cause: error,
  });
}
