import {
  assertKnownOptions,
  assertNamespace,
  type Clock,
  type Countdown,
  defaultNamespace,
  HeldLease,
  type Lease,
  type LockOptions,
  type LockProvider,
  type LockRequest,
  leaseCountdown,
  lockRequest,
  newToken,
  type RedisExecutor,
  systemClock,
} from '@cachekit/core';
import { lockAcquireScript } from '../scripts/lock-acquire.ts';
import { lockExtendScript } from '../scripts/lock-extend.ts';
import { polling } from '../scripts/lock-fragments.ts';
import { lockReleaseScript } from '../scripts/lock-release.ts';
import { assertWakeUp, Bell, Ear, type WakeUp } from '../wake-up.ts';
import { lockKeys, wakeChannelPrefix } from './lock-keys.ts';

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
 * - **No polling.** The script that gives a lock back reserves it for the next in the queue and wakes it.
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
  readonly #waiting = new Map<string, { readonly ring: () => void; readonly end: () => void }>();
  #hearing: Promise<unknown> | undefined;
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
    const held = new Held(
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
    try {
      const lease = await held.acquire(0);
      if (lease !== undefined || request.waitMs === 0 || this.#closed) return lease;
    } catch (error) {
      // The script may have run all the same.
      void held.giveUp();
      throw error;
    }
    return this.#wait(held, request);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const waiting of this.#waiting.values()) waiting.end();
    await this.#ear.close();
  }

  async #wait(held: Held, request: LockRequest): Promise<Lease | undefined> {
    const { clock, wakeUp } = this.#options;
    const { signal, waitMs } = request;
    const bell = new Bell(clock);
    const ended = Promise.withResolvers<void>();
    let over = false;
    const end = (): void => {
      over = true;
      bell.ring();
      ended.resolve();
    };
    const timer = clock.setTimeout(end, waitMs);
    signal?.addEventListener('abort', end);
    this.#waiting.set(held.token, { ring: bell.ring, end });
    try {
      if (wakeUp === 'pubsub') await Promise.race([this.#hear(), ended.promise]);
      let failure: unknown;
      while (!over) {
        let pauseMs: number = retryMs;
        try {
          const lease = await held.acquire(stayMs);
          failure = undefined;
          if (lease !== undefined) {
            if (!signal?.aborted) return lease;
            await lease.release();
          }
          pauseMs = Math.min(lookEveryMs[wakeUp], held.firstExpiryMs + 1);
        } catch (error) {
          failure = error;
        }
        if (!over) await bell.pause(pauseMs);
      }
      await held.giveUp();
      signal?.throwIfAborted();
      if (failure !== undefined) throw failure;
      return undefined;
    } finally {
      clock.clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      this.#waiting.delete(held.token);
    }
  }

  /** Resolves when this process hears its channel. */
  #hear(): Promise<unknown> {
    if (this.#hearing === undefined) {
      const { subscriber } = this.#ear;
      // What was said while nobody listened is gone.
      subscriber.onState(() => {
        for (const waiting of this.#waiting.values()) waiting.ring();
      });
      this.#hearing = subscriber.subscribe(this.#channels + this.#process, (token) =>
        this.#waiting.get(token)?.ring(),
      );
      this.#hearing.catch(() => {
        this.#hearing = undefined;
      });
    }
    return this.#hearing;
  }
}

/** What was asked for, and how those who wait are woken. */
interface LockCall {
  readonly key: string;
  readonly request: LockRequest;
  readonly channels: string;
  readonly counted: 0 | 1;
}

/** One call of `lock`, under a token of its own. */
class Held {
  readonly token: string;
  /** When the first of the holders expires, as of the last look. */
  firstExpiryMs = 0;
  readonly #options: Required<LocksOptions>;
  readonly #keys: readonly string[];
  readonly #call: LockCall;

  constructor(options: Required<LocksOptions>, keys: readonly string[], token: string, call: LockCall) {
    this.#options = options;
    this.#keys = keys;
    this.token = token;
    this.#call = call;
  }

  /** @param stay - How long the place in the queue is kept, in ms; 0 takes none. */
  async acquire(stay: number): Promise<Lease | undefined> {
    const { redis, clock } = this.#options;
    const { channels, counted, request } = this.#call;
    const { ttlMs, permits } = request;
    const countdown = leaseCountdown(clock, ttlMs);
    try {
      const args = [this.token, ttlMs, permits, stay, channels, counted];
      const [fence, firstExpiryMs] = (await redis.script(lockAcquireScript, this.#keys, args)) as [
        number,
        number,
      ];
      if (fence > 0) return this.#lease(fence, countdown);
      this.firstExpiryMs = firstExpiryMs;
    } catch (error) {
      countdown.stop();
      throw error;
    }
    countdown.stop();
    return undefined;
  }

  /** Whatever this token has, nobody waits for it. What cannot be told expires by itself. */
  async giveUp(): Promise<void> {
    await this.#release().catch(() => {});
  }

  #lease(fencingToken: number, countdown: Countdown): Lease {
    const { redis, clock } = this.#options;
    const { key, request } = this.#call;
    const { ttlMs, renew } = request;
    return new HeldLease({
      key,
      fencingToken,
      ttlMs,
      renew,
      clock,
      countdown,
      extend: async () => (await redis.script(lockExtendScript, this.#keys, [this.token, ttlMs])) === 1,
      release: async () => (await this.#release()) === 1,
    });
  }

  #release(): Promise<unknown> {
    const { channels, counted, request } = this.#call;
    return this.#options.redis.script(lockReleaseScript, this.#keys, [
      this.token,
      request.permits,
      channels,
      counted,
    ]);
  }
}
