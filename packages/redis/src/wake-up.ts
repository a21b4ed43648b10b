import {
  type Clock,
  ConfigurationError,
  type RedisExecutor,
  type RedisSubscriber,
  stayAwake,
} from '@cachekit/core';
import { UnsupportedByClientError } from './errors.ts';

/**
 * How a process learns that something it waits for has happened.
 *
 * | way      | costs                                | learns it                    |
 * | -------- | ------------------------------------ | ---------------------------- |
 * | `pubsub` | one subscriber connection, when used | within a millisecond or two  |
 * | `poll`   | a command at every look              | at the next look             |
 *
 * With `pubsub` it also looks now and then, so that a message that was lost costs a second and not the wait.
 */
export type WakeUp = 'pubsub' | 'poll';

/**
 * Checks how a process is to be woken.
 *
 * @param feature - What is asked of the client, for the error.
 * @throws ConfigurationError `INVALID_CONFIGURATION` if it is neither way.
 * @throws UnsupportedByClientError `UNSUPPORTED_BY_CLIENT` if it is `pubsub` and the client cannot subscribe.
 */
export function assertWakeUp(wakeUp: WakeUp, redis: RedisExecutor, feature: string): void {
  if (wakeUp === 'poll') return;
  if (wakeUp !== 'pubsub') {
    throw new ConfigurationError(`wakeUp: "${String(wakeUp)}" is none; it is pubsub or poll`);
  }
  if (!redis.capabilities.subscribe) {
    throw new UnsupportedByClientError('This client', `${feature} with wakeUp: 'pubsub'; give 'poll'`);
  }
}

/** Opens the subscriber of a part when it is first needed, and closes it with the part. */
export class Ear {
  readonly #redis: RedisExecutor;
  #subscriber: RedisSubscriber | undefined;

  constructor(redis: RedisExecutor) {
    this.#redis = redis;
  }

  get subscriber(): RedisSubscriber {
    this.#subscriber ??= this.#redis.subscriber();
    return this.#subscriber;
  }

  async close(): Promise<void> {
    await this.#subscriber?.close();
  }
}

/** A pause that somebody else may cut short. A ring before the pause is not forgotten. */
export class Bell {
  readonly #clock: Clock;
  #rung = false;
  #end: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  readonly ring = (): void => {
    this.#rung = true;
    this.#end?.();
  };

  /** Waits for a ring, but not longer than `ms`. */
  async pause(ms: number): Promise<void> {
    if (!this.#rung) {
      // Somebody waits, and a client over HTTP has no connection that keeps the process alive meanwhile.
      const rest = stayAwake();
      await new Promise<void>((resolve) => {
        const timer = this.#clock.setTimeout(resolve, ms);
        this.#end = () => {
          this.#clock.clearTimeout(timer);
          resolve();
        };
      });
      rest();
      this.#end = undefined;
    }
    this.#rung = false;
  }
}
