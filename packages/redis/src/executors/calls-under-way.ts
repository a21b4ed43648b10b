import { type Clock, DueQueue } from '@cachekit/core';
import { RedisUnavailableError } from '../errors.ts';
import { isReplyError } from './reply-error.ts';

/** How far a call got. */
export interface Call {
  readonly operation: string;
  sent: boolean;
  /** Its caller has been told that it failed. */
  over: boolean;
  /** Tells its caller. */
  reject: ((error: unknown) => void) | undefined;
}

/** A call that nothing has been done for yet. */
export function newCall(operation: string): Call {
  return { operation, sent: false, over: false, reject: undefined };
}

/** Calls that have no reply yet. Each is settled in time, whatever becomes of its connection. */
export class CallsUnderWay {
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  /** Why there is no connection, if that is known. */
  readonly #lastError: () => unknown;
  readonly #calls: DueQueue<Call>;

  constructor(timeoutMs: number, clock: Clock, lastError: () => unknown) {
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
    this.#lastError = lastError;
    this.#calls = new DueQueue(clock, timeoutMs, (call) => this.#late(call));
  }

  /** The reply, or a rejection with `RedisUnavailableError`; errors that Redis replies pass unchanged. */
  reply(work: Promise<unknown>, call: Call): Promise<unknown> {
    return new Promise((resolve, reject) => {
      call.reject = reject;
      this.#calls.add(call);
      work.then(
        (reply) => {
          this.#calls.delete(call);
          resolve(reply);
        },
        (cause) => {
          this.#calls.delete(call);
          reject(failureOf(call, cause));
        },
      );
    });
  }

  /**
   * One more turn of the event loop is allowed: after a loop that was blocked for longer than the timeout, replies that
   * wait in the socket are read before anything is given up.
   */
  #late(call: Call): void {
    this.#clock.setTimeout(() => {
      call.over = true;
      call.reject?.(
        new RedisUnavailableError(call.operation, {
          message: `no reply within ${this.#timeoutMs} ms`,
          sent: call.sent,
          cause: this.#lastError(),
        }),
      );
    }, 1);
  }
}

function failureOf({ operation }: Call, cause: unknown): unknown {
  if (isReplyError(cause) || cause instanceof RedisUnavailableError) return cause;
  const message = 'the connection was lost before the reply';
  return new RedisUnavailableError(operation, { message, sent: true, cause });
}
