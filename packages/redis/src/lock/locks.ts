import {
  assertExecutor,
  assertKnownOptions,
  assertNamespace,
  type Clock,
  defaultNamespace,
  type Lease,
  type LockOptions,
  type LockProvider,
  type LockRequest,
  lockRequest,
  newToken,
  type RedisExecutor,
  systemClock,
} from '@cachekit/core';
import { polling } from '../scripts/lock-fragments.ts';
import { assertWakeUp, Ear, type WakeUp } from '../wake-up.ts';
import { HeldLock } from './held-lock.ts';
import { lockKeys, wakeChannelPrefix } from './lock-keys.ts';
import { Turn } from './turn.ts';

/** Options of {@link createLocks}. */
export interface LocksOptions {
  readonly redis: RedisExecutor;
  /** @defaultValue `'ck'` */
  readonly namespace?: string;
  /**
   * How one who waits learns that it is its turn.
   *
   * @defaultValue `'pubsub'`
   */
  readonly wakeUp?: WakeUp;
  readonly clock?: Clock;
  /** @defaultValue `Math.random` */
  readonly random?: () => number;
}

/** Locks that all processes share which use the same Redis. */
export interface Locks extends LockProvider {
  /** Ends what waits, which is told `undefined`, and the subscription. Locks that are held stay held. */
  close(): Promise<void>;
}

/** How often one who waits looks by itself, and says that it is still there. */
const lookEveryMs = { pubsub: 1_000, poll: 250 } as const;
/** One that has not said so for this long has lost its place in the queue. */
const stayMs = 3_000;
/** A look that failed is repeated after this. */
const retryMs = 100;

/**
 * Locks and semaphores in Redis, given in the order in which they were asked for.
 *
 * - **No polling.** The script that gives a lock back gives it to the next in the queue, and the message that wakes it
 *   carries its fencing token: it is inside without asking again.
 * - **A fencing token** that is greater than any before: the clock of the server in microseconds, and never less than
 *   the last one plus one, so it also grows after Redis lost its data.
 * - **Told in time.** `lease.signal` aborts before the lock expires, by a timer that began before Redis was asked.
 * - **Renewed** every third of `ttl` while the process lives, unless `renew` is false.
 * - Nobody overtakes: who does not wait gets nothing while others do.
 *
 * One Redis is one point of failure: a failover may forget who holds a lock, and two may then hold it. Protect what is
 * written under a lock by its fencing token; see `fencedTransaction` of `@cachekit/core/postgres`.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for a wrong option.
 * @throws UnsupportedByClientError `UNSUPPORTED_BY_CLIENT` if `wakeUp` is `pubsub` and the client cannot subscribe.
 * @see Martin Kleppmann, How to do distributed locking (2016)
 * @example
 * const locks = createLocks({ redis });
 * const done = await withLock(locks, 'billing:2026-11', { ttl: '10s', wait: '5s' }, async (lease) => lease.fencingToken);
 * await locks.close();
 */
export function createLocks(options: LocksOptions): Locks {
  assertKnownOptions('createLocks', options, ['redis', 'namespace', 'wakeUp', 'clock', 'random']);
  const { redis, namespace = defaultNamespace, wakeUp = 'pubsub', clock = systemClock } = options;
  assertExecutor('createLocks', redis);
  assertNamespace(namespace);
  assertWakeUp(wakeUp, redis, 'locks');
  return new RedisLocks({ redis, namespace, wakeUp, clock, random: options.random ?? (() => Math.random()) });
}

class RedisLocks implements Locks {
  readonly #options: Required<LocksOptions>;
  readonly #ear: Ear;
  readonly #channels: string;
  readonly #process: string;
  /** 1 if a channel that nobody hears belongs to a process that is gone. */
  readonly #counted: 0 | 1;
  readonly #waiting = new Map<string, Turn>();
  #hearing: Promise<unknown> | undefined;
  #hears = false;
  #tokens = 0;
  #closed = false;

  constructor(options: Required<LocksOptions>) {
    this.#options = options;
    this.#ear = new Ear(options.redis);
    this.#channels = wakeChannelPrefix(options.namespace);
    this.#process = (options.wakeUp === 'poll' ? polling : '') + newToken(options.random);
    this.#counted = options.redis.capabilities.cluster ? 0 : 1;
  }

  async lock(key: string, options: LockOptions): Promise<Lease | undefined> {
    const request = lockRequest(key, options);
    request.signal?.throwIfAborted();
    const held = new HeldLock(
      this.#options,
      lockKeys(this.#options.namespace, key),
      `${this.#process}:${++this.#tokens}`,
      {
        key,
        request,
        channels: this.#channels,
        counted: this.#counted,
      },
    );
    // Who can be woken has its place in the queue from the first moment.
    const stays = request.waitMs > 0 && this.#hears && !this.#closed;
    if (!stays) {
      const lease = await firstTry(held, 0);
      if (lease !== undefined || request.waitMs === 0 || this.#closed) return lease;
    }
    const turn = new Turn(this.#options.clock);
    this.#waiting.set(held.token, turn);
    try {
      const lease = stays ? await firstTry(held, stayMs) : undefined;
      return lease ?? (await this.#wait(held, request, turn));
    } finally {
      this.#waiting.delete(held.token);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const turn of this.#waiting.values()) turn.end();
    await this.#ear.close();
  }

  async #wait(held: HeldLock, request: LockRequest, turn: Turn): Promise<Lease | undefined> {
    const { clock, wakeUp } = this.#options;
    const { signal, waitMs } = request;
    const timer = clock.setTimeout(turn.end, waitMs);
    signal?.addEventListener('abort', turn.end);
    const untilLook = (): number => Math.min(lookEveryMs[wakeUp], held.firstExpiryMs + 1);
    let pauseMs = held.queued ? untilLook() : 0;
    try {
      if (wakeUp === 'pubsub' && !this.#hears) await Promise.race([this.#hear(), turn.ended]);
      let failure: unknown;
      while (!turn.over) {
        if (pauseMs > 0) await turn.bell.pause(pauseMs);
        if (turn.over) break;
        try {
          const lease = held.handedOver(turn.takeFence()) ?? (await held.acquire(stayMs));
          failure = undefined;
          if (lease !== undefined) {
            if (!signal?.aborted) return lease;
            await lease.release();
          }
          pauseMs = untilLook();
        } catch (error) {
          failure = error;
          pauseMs = retryMs;
        }
      }
      await held.giveUp();
      signal?.throwIfAborted();
      if (failure !== undefined) throw failure;
      return undefined;
    } finally {
      clock.clearTimeout(timer);
      signal?.removeEventListener('abort', turn.end);
    }
  }

  /** Resolves when this process hears its channel. */
  #hear(): Promise<unknown> {
    if (this.#hearing === undefined) {
      const { subscriber } = this.#ear;
      // What was said while nobody listened is gone.
      subscriber.onState((state) => {
        this.#hears = state === 'ready';
        for (const turn of this.#waiting.values()) turn.bell.ring();
      });
      this.#hearing = subscriber.subscribe(this.#channels + this.#process, (message) => {
        const [token, fence] = message.split(' ') as [string, string];
        this.#waiting.get(token)?.handOver(Number(fence));
      });
      this.#hearing.catch(() => {
        this.#hearing = undefined;
      });
    }
    return this.#hearing;
  }
}

async function firstTry(held: HeldLock, stay: number): Promise<Lease | undefined> {
  try {
    return await held.acquire(stay);
  } catch (error) {
    // The script may have run all the same.
    void held.giveUp();
    throw error;
  }
}
