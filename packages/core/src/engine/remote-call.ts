import { TierError } from '../errors.ts';
import type { Events } from '../events.ts';
import type { Metrics } from '../metrics.ts';
import type { Clock } from '../ports/clock.ts';
import type { RemoteTier, TierClock } from '../ports/remote-tier.ts';
import { Breaker } from './steps/breaker.ts';
import type { TierTime } from './tier-time.ts';

/**
 * Calls the remote tier: counts and tells what failed, and spares reads the wait for a tier that does not answer.
 *
 * How long a call may take is the tier's promise.
 */
export class RemoteCall {
  readonly tier: RemoteTier;
  /** What has to be carried out before anything is taken from the tier. */
  before: { readonly pending: number; replay(): Promise<void> } | undefined;
  readonly #breaker: Breaker;
  readonly #clock: Clock;
  readonly #time: TierTime;
  readonly #events: Events;
  readonly #metrics: Metrics;

  constructor(tier: RemoteTier, clock: Clock, time: TierTime, events: Events, metrics: Metrics) {
    this.tier = tier;
    this.#clock = clock;
    this.#time = time;
    this.#events = events;
    this.#metrics = metrics;
    this.#breaker = new Breaker(clock, (state) => events.emit('breaker', { state }));
  }

  get down(): boolean {
    return this.#breaker.open;
  }

  /**
   * For what can be done without the tier.
   *
   * @throws TierError `TIER_FAILED`, at once while the breaker is open.
   */
  async read<T>(operation: string, call: (tier: RemoteTier) => Promise<T>): Promise<T> {
    if (!this.#breaker.allows()) throw new TierError(this.tier.name, operation, 'it did not answer before');
    if (this.before !== undefined && this.before.pending > 0) await this.before.replay();
    return await this.attempt(operation, call);
  }

  /**
   * For what must not be left undone: tried even while the breaker is open, and told the tier's clock by the answer.
   *
   * @throws TierError `TIER_FAILED`
   */
  async write(operation: string, call: (tier: RemoteTier) => Promise<TierClock>): Promise<TierClock> {
    const sentAt = this.#clock.now();
    const clock = await this.attempt(operation, call);
    this.#time.observe(clock, sentAt);
    return clock;
  }

  /**
   * Tried even while the breaker is open; an answer closes it.
   *
   * @throws TierError `TIER_FAILED`
   */
  async attempt<T>(operation: string, call: (tier: RemoteTier) => Promise<T>): Promise<T> {
    try {
      const answer = await call(this.tier);
      this.#breaker.succeeded();
      return answer;
    } catch (cause) {
      const error = new TierError(this.tier.name, operation, cause);
      this.#metrics.remoteFailures++;
      this.#breaker.failed();
      this.#events.emit('tierError', { operation, error });
      throw error;
    }
  }
}
