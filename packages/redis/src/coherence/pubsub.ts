import type { Coherence, CoherenceSink, RedisExecutor, RedisSubscriber } from '@cachekit/core';
import { hear } from './message.ts';

/**
 * Hears of changes on a channel to which the scripts of the tier publish as they write.
 *
 * It is armed while the subscription is confirmed. The loss of the connection is told at once if it closes and within
 * two seconds if it only falls silent. What others write to Redis without CacheKit is not heard.
 */
export class PubSubCoherence implements Coherence {
  readonly mode = 'pubsub';
  readonly #redis: RedisExecutor;
  readonly #channel: string;
  #subscriber: RedisSubscriber | undefined;

  constructor(redis: RedisExecutor, channel: string) {
    this.#redis = redis;
    this.#channel = channel;
  }

  start(sink: CoherenceSink): void {
    if (this.#subscriber !== undefined) return;
    const subscriber = this.#redis.subscriber();
    this.#subscriber = subscriber;
    subscriber.onState((state) => (state === 'ready' ? sink.armed() : sink.lost()));
    // Refused by the server (a permission) it never arms: memory is then asked by nobody, and Redis answers alone.
    subscriber.subscribe(this.#channel, (message) => hear(message, sink)).catch(() => subscriber.close());
  }

  async close(): Promise<void> {
    await this.#subscriber?.close();
  }
}
