import type { CacheEvents } from '../cache/cache-events.ts';
import { TierError } from '../errors.ts';
import type { Events } from '../events.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { Clock } from '../ports/clock.ts';
import type { RemoteTier, TierClock } from '../ports/remote-tier.ts';
import { Breakers } from './breakers.ts';
import type { TierTime } from './tier-time.ts';

const none: readonly string[] = [];

/** Why a call was not made while the breaker is open. */
const spared = Object.assign(new Error('it did not answer before'), { sent: false });

/** Whether what failed is a call that was not carried out and never will be. */
export function neverSent(error: unknown): boolean {
  return (error as { cause?: { sent?: boolean } } | undefined)?.cause?.sent === false;
}

/**
 * Calls the remote tier: counts and tells what failed, and spares reads the wait for a tier that does not answer.
 *
 * How long a call may take is the tier's promise.
 */
export class RemoteCall {
  readonly tier: RemoteTier;
  /** What has to be carried out before anything is taken from the tier. */
  before: { readonly pending: number; replay(): Promise<void> } | undefined;
  readonly #breakers: Breakers;
  readonly #clock: Clock;
  readonly #time: TierTime;
  readonly #events: Events<CacheEvents>;
  readonly #metrics: Metrics;

  constructor(tier: RemoteTier, clock: Clock, time: TierTime, events: Events<CacheEvents>, metrics: Metrics) {
    this.tier = tier;
    this.#clock = clock;
    this.#time = time;
    this.#events = events;
    this.#metrics = metrics;
    this.#breakers = new Breakers(clock, (state) => events.emit('breaker', { state }));
  }

  /** Whether reads are kept away from the tier, or from a part of it. */
  get down(): boolean {
    return this.#breakers.open;
  }

  /**
   * For what can be done without the tier.
   *
   * @param keys - What it is about; as here in all the others. Where a part of the tier can fail alone, that part is meant.
   * @throws TierError `TIER_FAILED`, at once while the breaker is open.
   */
  read<T>(
    operation: string,
    call: (tier: RemoteTier) => Promise<T>,
    keys: string | readonly string[] = none,
  ): Promise<T> {
    const part = this.#partOf(keys);
    if (!this.#breakers.allows(part)) {
      return Promise.reject(new TierError(this.tier.name, operation, spared));
    }
    if (this.before === undefined || this.before.pending === 0) return this.#attempt(operation, call, part);
    return this.before.replay().then(() => this.#attempt(operation, call, part));
  }

  /**
   * For what must not be left undone: tried even while the breaker is open, and told the tier's clock by the answer.
   *
   * @throws TierError `TIER_FAILED`
   */
  async write(
    operation: string,
    call: (tier: RemoteTier) => Promise<TierClock>,
    keys: string | readonly string[] = none,
  ): Promise<TierClock> {
    const sentAt = this.#clock.now();
    const clock = await this.attempt(operation, call, keys);
    this.#time.observe(clock, sentAt);
    return clock;
  }

  /**
   * Tried even while the breaker is open; an answer closes it.
   *
   * @throws TierError `TIER_FAILED`
   */
  attempt<T>(
    operation: string,
    call: (tier: RemoteTier) => Promise<T>,
    keys: string | readonly string[] = none,
  ): Promise<T> {
    return this.#attempt(operation, call, this.#partOf(keys));
  }

  async #attempt<T>(operation: string, call: (tier: RemoteTier) => Promise<T>, part: string): Promise<T> {
    try {
      const answer = await call(this.tier);
      this.#breakers.succeeded(part);
      return answer;
    } catch (cause) {
      throw this.failure(operation, cause, part);
    }
  }

  /**
   * Ends a lease of which nobody knows whether it was given, or is over, because the call that asked was not answered. What is
   * sent after that call is carried out after it. Failures of this are told nobody: that one was.
   */
  async forsake(key: string, token: string, error: unknown): Promise<void> {
    if (!neverSent(error)) await this.tier.release(key, token);
  }

  /** Counts and tells a failure. For one alone among many that were asked for together; the calls here do so themselves. */
  failure(operation: string, cause: unknown, part = ''): TierError {
    const error = new TierError(this.tier.name, operation, cause);
    this.#metrics.remoteFailures++;
    this.#breakers.failed(part);
    this.#events.emit('tierError', { operation, error });
    return error;
  }

  /** The part of the tier that has all of the keys; empty if there is none, or no parts. */
  #partOf(keys: string | readonly string[]): string {
    if (this.tier.partOf === undefined) return '';
    if (typeof keys === 'string') return this.tier.partOf(keys);
    const part = keys[0] === undefined ? '' : this.tier.partOf(keys[0]);
    for (const key of keys) if (this.tier.partOf(key) !== part) return '';
    return part;
  }
}
