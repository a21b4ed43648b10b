import {
  ArgumentError,
  assertKnownOptions,
  type Clock,
  ConfigurationError,
  type Duration,
  durationMs,
  escapePart,
  systemClock,
} from '@cachekit/core';
import { Checks, type OnUnavailable } from './checks.ts';
import type { Decision } from './decision.ts';
import type { KeyParts } from './key.ts';
import type { RateLimiterEvents, RateLimiterListener } from './limiter-events.ts';
import type { RateLimitMetrics } from './metrics.ts';
import { maxWindowMs, type Policy } from './policy.ts';
import {
  assertCallOptions,
  type ConsumeOptions,
  checkedCost,
  type Target,
  Targets,
  type TenantOption,
} from './request.ts';
import { type Reservation, reservationOf } from './reservation.ts';
import type { LimitStore } from './stores/store.ts';
import { WaitLines } from './wait-lines.ts';

/** What `allow` and `deny` are asked. */
export interface CheckedIds {
  readonly ids: Readonly<Record<string, KeyParts>>;
  readonly tenant: string | undefined;
}

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
  /**
   * How many processes share the limits: with `onUnavailable: 'local'` each lets `limit / instances` pass, at least 1.
   * @defaultValue `1`
   */
  instances?: number;
  /** Requests for which it gives `true`, at once, pass uncounted, such as those of your own monitoring. */
  allow?: (check: CheckedIds) => boolean;
  /** Requests for which it gives `true`, at once, are denied uncounted; it wins over `allow`. */
  deny?: (check: CheckedIds) => boolean;
  /** @defaultValue the clock of the machine */
  clock?: Clock;
}

/** What {@link RateLimiter.wait} takes besides the ids. */
export interface WaitOptions extends ConsumeOptions {
  /**
   * How long it may take; a request that could pass only later is denied at once.
   * @defaultValue `'30s'`
   */
  maxWait?: Duration;
  /** Ends the wait; the call rejects with its reason. */
  signal?: AbortSignal;
}

/** What {@link RateLimiter.block} takes besides the ids. */
export interface BlockOptions extends TenantOption {
  /** From now on; whole milliseconds up to 366 days. */
  duration: Duration;
  /** Told in `blocked` of the decisions; up to 100 characters. */
  reason: string;
}

/** For each policy to ask, whom it counts. */
export type LimitIds<Used extends string> = Readonly<Record<Used, KeyParts>>;

/** Decides whether requests pass. */
export interface RateLimiter<Name extends string = string> {
  readonly policies: Readonly<Record<Name, Policy>>;
  /**
   * Takes `cost` from every policy named in `ids`, or from none of them.
   *
   * A "no" is a value, never an exception. Answers within `timeout` whatever the store does. A denial that is known
   * to be still true is answered without asking the store.
   *
   * @param ids - For each policy to ask, whom it counts. With a `tenant`, `[]` counts the tenant as a whole.
   * @throws ArgumentError `INVALID_ARGUMENT` for an unknown policy, an empty id, or a cost that is no integer from 1.
   * @throws RateLimitStoreError `RATE_LIMIT_STORE` if the store is unavailable, with `onUnavailable: 'throw'` only.
   * @example
   * const decision = await limiter.consume({ api: [userId], commands: [deviceId] }, { tenant });
   * if (!decision.allowed) console.log(`again in ${decision.retryAfterMs} ms`, decision.violated);
   */
  consume<Used extends Name>(ids: LimitIds<Used>, options?: ConsumeOptions): Promise<Decision<Used>>;
  /**
   * What `consume()` would say now. Takes nothing and is not counted in the metrics.
   * @throws as `consume()`
   */
  peek<Used extends Name>(ids: LimitIds<Used>, options?: ConsumeOptions): Promise<Decision<Used>>;
  /**
   * Gives tokens back, never more than were taken.
   *
   * @throws ArgumentError `INVALID_ARGUMENT` as `consume()`.
   * @throws RateLimitStoreError `RATE_LIMIT_STORE` if the store did not do it.
   * @example
   * await limiter.refund({ api: ['7'] }, { cost: 2 });
   */
  refund<Used extends Name>(ids: LimitIds<Used>, options?: ConsumeOptions): Promise<void>;
  /**
   * Takes an estimate, to be corrected by `commit()` when the true cost is known, or slots of `concurrency()`, to be given
   * back by `commit()` or `cancel()`.
   *
   * @throws as `consume()`
   * @example
   * const reservation = await limiter.reserve({ api: ['7'] }, { cost: 40 });
   * if (reservation.decision.allowed) await reservation.commit(31); // nine tokens come back
   */
  reserve<Used extends Name>(ids: LimitIds<Used>, options?: ConsumeOptions): Promise<Reservation<Used>>;
  /**
   * Takes as soon as it can: those who wait in this process for the same keys pass in the order in which they came.
   *
   * Resolves with a decision that denies when `maxWait` is over or would not be enough, or when 1,000 wait already. What
   * this process gives back is seen at once, what others do after 5 s, slots of `concurrency()` after 100 ms. A wait that
   * is aborted takes nothing.
   *
   * @throws as `consume()`, and the reason of `signal` when it is aborted.
   * @example
   * const decision = await limiter.wait({ api: ['7'] }, { maxWait: '5s' });
   */
  wait<Used extends Name>(ids: LimitIds<Used>, options?: WaitOptions): Promise<Decision<Used>>;
  /**
   * Denies everything for a while, whatever was counted. Afterwards windows go on as if it had not been, and the
   * bucket of a `gcra()` is empty but for one token. A longer block that is there already stays.
   *
   * @throws ArgumentError `INVALID_ARGUMENT` as `consume()`, and for a duration or reason that is none.
   * @throws RateLimitStoreError `RATE_LIMIT_STORE` if the store did not do it.
   * @example
   * await limiter.block({ api: ['7'] }, { duration: '1h', reason: 'abuse' });
   */
  block<Used extends Name>(ids: LimitIds<Used>, options: BlockOptions): Promise<void>;
  /**
   * Forgets what was counted, and a block.
   *
   * @throws ArgumentError `INVALID_ARGUMENT` as `consume()`.
   * @throws RateLimitStoreError `RATE_LIMIT_STORE` if the store did not do it.
   * @example
   * await limiter.reset({ api: ['7'] });
   */
  reset<Used extends Name>(ids: LimitIds<Used>, options?: TenantOption): Promise<void>;
  /** Counters of every policy since the limiter was made, or since they were reset. */
  metrics(): RateLimitMetrics<Name>;
  /** Begins the counters of {@link RateLimiter.metrics} anew. */
  resetMetrics(): void;
  /** Calls `listener` at every such event. What it throws is dropped. */
  on<Event extends keyof RateLimiterEvents>(event: Event, listener: RateLimiterListener<Event>): void;
  /** Ends what `on()` began. */
  off<Event extends keyof RateLimiterEvents>(event: Event, listener: RateLimiterListener<Event>): void;
}

const policyName = /^[A-Za-z][A-Za-z0-9_-]{0,31}$/;
const unavailableAnswers: readonly OnUnavailable[] = ['local', 'open', 'closed', 'throw'];
const options = ['policies', 'store', 'timeout', 'onUnavailable', 'instances', 'allow', 'deny', 'clock'];
const consumeOptions = ['tenant', 'cost', 'limits'];
const longestReason = 100;

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
  const lines = new WaitLines(clock);
  const checks = new Checks({
    policies,
    store,
    timeoutMs,
    onUnavailable,
    instances,
    clock,
    onGiven: (keys) => lines.wake(keys),
  });
  const targets = new Targets(policies, store.namespace);

  /** What `allow` or `deny` decide, before anything is counted. */
  function predicted(
    names: readonly string[],
    target: Target,
    ids: LimitIds<string>,
    tenant: string | undefined,
  ): Decision | undefined {
    if (isYes('deny', deny?.({ ids, tenant }))) return checks.predicted('deny', names, target);
    if (isYes('allow', allow?.({ ids, tenant }))) return checks.predicted('allow', names, target);
    return undefined;
  }

  function decided(ids: LimitIds<string>, call: ConsumeOptions): Decision | Promise<Decision> {
    assertCallOptions('consume', call, consumeOptions);
    const names = Object.keys(ids ?? {});
    const cost = checkedCost('consume', call.cost);
    const target = targets.of('consume', names, ids, call);
    if (allow !== undefined || deny !== undefined) {
      const decision = predicted(names, target, ids, call.tenant);
      if (decision !== undefined) return decision;
    }
    return checks.take(names, target, cost);
  }

  // Not async: a function that is one would make two promises more per check.
  function consume(ids: LimitIds<string>, call: ConsumeOptions = {}): Promise<Decision> {
    try {
      const decision = decided(ids, call);
      return decision instanceof Promise ? decision : Promise.resolve(decision);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async function peek(ids: LimitIds<string>, call: ConsumeOptions = {}): Promise<Decision> {
    assertCallOptions('peek', call, consumeOptions);
    const names = Object.keys(ids ?? {});
    const cost = checkedCost('peek', call.cost);
    const target = targets.of('peek', names, ids, call);
    return predicted(names, target, ids, call.tenant) ?? checks.peek(names, target, cost);
  }

  async function refund(ids: LimitIds<string>, call: ConsumeOptions = {}): Promise<void> {
    assertCallOptions('refund', call, consumeOptions);
    const target = targets.of('refund', Object.keys(ids ?? {}), ids, call);
    await checks.settle('give', target, checkedCost('refund', call.cost));
  }

  async function reserve(ids: LimitIds<string>, call: ConsumeOptions = {}): Promise<Reservation> {
    assertCallOptions('reserve', call, consumeOptions);
    const names = Object.keys(ids ?? {});
    const cost = checkedCost('reserve', call.cost);
    const target = targets.of('reserve', names, ids, call);
    const decision = predicted(names, target, ids, call.tenant);
    if (decision === undefined) return reservationOf(checks, await checks.reserve(names, target, cost));
    const request = { mode: 'take' as const, ...target, cost, now: clock.now() };
    return reservationOf(checks, { decision, session: undefined, request, at: undefined });
  }

  async function wait(ids: LimitIds<string>, call: WaitOptions = {}): Promise<Decision> {
    assertCallOptions('wait', call, [...consumeOptions, 'maxWait', 'signal']);
    const { maxWait = '30s', signal, ...rest } = call;
    const names = Object.keys(ids ?? {});
    const { keys, policies: asked } = targets.of('wait', names, ids, call);
    const cost = checkedCost('wait', call.cost);
    const maxWaitMs = argumentMs('wait: maxWait', maxWait);
    // What can never pass waits for nobody.
    if (asked.some(({ limit, shadow }) => cost > limit && !shadow)) return consume(ids, rest);
    return lines.wait(keys, () => reserve(ids, rest), maxWaitMs, signal);
  }

  async function block(ids: LimitIds<string>, call: BlockOptions): Promise<void> {
    assertCallOptions('block', call ?? {}, ['tenant', 'duration', 'reason']);
    const { duration, reason } = call ?? {};
    const ms = argumentMs('block: duration', duration);
    if (!Number.isInteger(ms) || ms < 1 || ms > maxWindowMs) {
      throw new ArgumentError('block: duration: give whole milliseconds, from 1 ms to 366 days');
    }
    if (typeof reason !== 'string' || reason === '' || reason.length > longestReason) {
      throw new ArgumentError(`block: reason: give text of 1 to ${longestReason} characters`);
    }
    const target = targets.of('block', Object.keys(ids ?? {}), ids, call);
    for (const { algorithm, limit, windowMs } of target.policies) {
      if (algorithm.name === 'gcra' && limit * (windowMs + ms) > 2 ** 52) {
        throw new ArgumentError(`block: duration: ${ms} ms is too long for a limit of ${limit}`);
      }
    }
    await checks.block(target, ms, escapePart(reason));
  }

  async function reset(ids: LimitIds<string>, call: TenantOption = {}): Promise<void> {
    assertCallOptions('reset', call, ['tenant']);
    await checks.reset(targets.of('reset', Object.keys(ids ?? {}), ids, call));
  }

  const limiter: RateLimiter = {
    policies,
    consume: consume as RateLimiter['consume'],
    peek: peek as RateLimiter['peek'],
    refund,
    reserve: reserve as RateLimiter['reserve'],
    wait: wait as RateLimiter['wait'],
    block,
    reset,
    metrics: () => checks.metrics(),
    resetMetrics: () => checks.resetMetrics(),
    on: (event, listener) => checks.listeners.on(event, listener),
    off: (event, listener) => checks.listeners.off(event, listener),
  };
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

/** A promise is no answer: taken for one, it would deny nobody. */
function isYes(name: 'deny' | 'allow', answer: unknown): boolean {
  if (typeof (answer as PromiseLike<unknown> | undefined)?.then === 'function') {
    throw new ArgumentError(`${name}: give a function that answers at once; it gave a promise`);
  }
  return answer === true;
}

function argumentMs(name: string, duration: Duration): number {
  try {
    return durationMs(duration, name);
  } catch (error) {
    throw new ArgumentError((error as Error).message);
  }
}
