import type { Clock, Duration } from '@cachekit/core';
import type { Policy } from './algorithms/policy.ts';
import type { Decision } from './decision.ts';
import type { KeyParts } from './key.ts';
import type { RateLimiterEvents, RateLimiterListener } from './limiter-events.ts';
import type { RateLimitMetrics } from './metrics.ts';
import type { OnUnavailable } from './on-unavailable.ts';
import type { ConsumeOptions, TenantOption } from './request.ts';
import type { Reservation } from './reservation.ts';
import type { LimitStore } from './stores/store.ts';

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
