import type { Clock, Coherence, CoherenceSink, RedisExecutor, RedisSubscriber, Timer } from '@cachekit/core';
import type { ChangeLog } from './change-log.ts';
import { hear, published } from './message.ts';

/** How often it is looked whether the log must be prolonged. */
const prolongEveryMs = 600_000;

/**
 * Hears of changes on a channel to which the scripts of the tier publish as they write.
 *
 * It is armed while the subscription is confirmed. The loss of the connection is told at once if it closes and within
 * two seconds if it only falls silent. What was published meanwhile is read from the log of changes, if there is one and
 * it reaches back so far; memory then goes on as if nothing had been missed. What others write to Redis without CacheKit
 * is not heard.
 */
export class PubSubCoherence implements Coherence {
  readonly mode = 'pubsub';
  readonly #redis: RedisExecutor;
  readonly #channel: string;
  readonly #log: ChangeLog | undefined;
  readonly #clock: Clock;
  #subscriber: RedisSubscriber | undefined;
  /** The last change that was heard. Nothing: it is not known where in the log this is. */
  #position: string | undefined;
  /** Every change of state of the connection begins another one. */
  #round = 0;
  #timer: Timer | undefined;

  constructor(redis: RedisExecutor, channel: string, log: ChangeLog | undefined, clock: Clock) {
    this.#redis = redis;
    this.#channel = channel;
    this.#log = log;
    this.#clock = clock;
  }

  start(sink: CoherenceSink): void {
    if (this.#subscriber !== undefined) return;
    const subscriber = this.#redis.subscriber();
    this.#subscriber = subscriber;
    let armed = false;
    subscriber.onState((state) => {
      const round = ++this.#round;
      if (state === 'lost') {
        if (armed) sink.lost();
        armed = false;
        return;
      }
      void this.#catchUp(sink, () => round === this.#round).then((resumed) => {
        if (round !== this.#round) return;
        armed = true;
        if (resumed && sink.resumed !== undefined) sink.resumed();
        else sink.armed();
      });
    });
    // Refused by the server (a permission) it never arms: memory is then asked by nobody, and Redis answers alone.
    subscriber
      .subscribe(this.#channel, (text) => {
        const { id, message } = published(text);
        if (id !== undefined && this.#position !== undefined) this.#position = id;
        hear(message, sink);
      })
      .catch(() => subscriber.close());
    this.#keep();
  }

  async close(): Promise<void> {
    this.#round++;
    this.#clock.clearTimeout(this.#timer);
    await this.#subscriber?.close();
  }

  /** Whether all that was missed has been told. Otherwise it begins anew at the end of the log. */
  async #catchUp(sink: CoherenceSink, current: () => boolean): Promise<boolean> {
    const log = this.#log;
    if (log === undefined) return false;
    const position = this.#position;
    try {
      const missed = position === undefined ? undefined : await log.after(position);
      if (!current()) return false;
      if (missed !== undefined) {
        for (const { message } of missed) hear(message, sink);
        // What is heard live meanwhile may be ahead of this; hearing it again does no harm.
        this.#position = missed.at(-1)?.id ?? position;
        return true;
      }
      this.#position = undefined;
      const mark = await log.mark();
      if (current()) this.#position = mark;
    } catch {
      // It does without: memory is compared with Redis.
      if (current()) this.#position = undefined;
    }
    return false;
  }

  #keep(): void {
    const log = this.#log;
    if (log === undefined) return;
    this.#timer = this.#clock.setTimeout(() => {
      // A log that ends meanwhile is a gap that is noticed.
      log.prolong().catch(() => {});
      this.#keep();
    }, prolongEveryMs);
  }
}
