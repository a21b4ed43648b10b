import { assertKnownOptions } from '../errors.ts';
import type { Countdown } from '../lock/countdown.ts';
import { HeldLease, leaseCountdown } from '../lock/held-lease.ts';
import { type LockRequest, lockRequest } from '../lock/lock-request.ts';
import { type Clock, stayAwake, systemClock, type Timer } from '../ports/clock.ts';
import type { Lease, LockOptions, LockProvider } from '../ports/lock.ts';

/** Options of {@link createMemoryLocks}. */
export interface MemoryLocksOptions {
  readonly clock?: Clock;
}

/** Those who hold a key, with the timer of each, and those who wait for it, first come first. */
interface Place {
  readonly holders: Map<symbol, Timer>;
  readonly queue: Set<Waiter>;
}

interface Waiter {
  readonly request: LockRequest;
  readonly give: (lease: Lease) => void;
}

/**
 * Locks among the callers of one process: for tests, and for an application that runs only once.
 *
 * A lock that is not renewed is given to the next one when its `ttl` is over, as a store that others share would do.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an unknown option.
 * @example
 * const locks = createMemoryLocks();
 * const lease = await locks.lock('import', { ttl: '10s', wait: '1s' });
 * await lease?.release();
 */
export function createMemoryLocks(options: MemoryLocksOptions = {}): LockProvider {
  assertKnownOptions('createMemoryLocks', options, ['clock']);
  return new MemoryLocks(options.clock ?? systemClock);
}

class MemoryLocks implements LockProvider {
  readonly #clock: Clock;
  readonly #places = new Map<string, Place>();
  #fence = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async lock(key: string, options: LockOptions): Promise<Lease | undefined> {
    const request = lockRequest(key, options);
    request.signal?.throwIfAborted();
    const place = this.#places.get(key) ?? { holders: new Map(), queue: new Set() };
    this.#places.set(key, place);
    if (place.queue.size === 0 && place.holders.size < request.permits)
      return this.#give(key, place, request);
    return request.waitMs === 0 ? undefined : this.#queue(key, place, request);
  }

  #queue(key: string, place: Place, request: LockRequest): Promise<Lease | undefined> {
    const { signal, waitMs } = request;
    return new Promise((resolve, reject) => {
      const rest = stayAwake();
      const leave = (): void => {
        rest();
        this.#clock.clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        place.queue.delete(waiter);
      };
      const abort = (): void => {
        leave();
        reject(signal?.reason);
        this.#wake(key, place);
      };
      const waiter: Waiter = {
        request,
        give: (lease) => {
          leave();
          resolve(lease);
        },
      };
      const timer = this.#clock.setTimeout(() => {
        leave();
        resolve(undefined);
        this.#wake(key, place);
      }, waitMs);
      signal?.addEventListener('abort', abort);
      place.queue.add(waiter);
    });
  }

  #give(key: string, place: Place, request: LockRequest): Lease {
    const { ttlMs, renew } = request;
    const holder = Symbol(key);
    const end = (): boolean => {
      this.#clock.clearTimeout(place.holders.get(holder));
      const held = place.holders.delete(holder);
      this.#wake(key, place);
      return held;
    };
    const begin = (): void => {
      this.#clock.clearTimeout(place.holders.get(holder));
      place.holders.set(holder, this.#clock.setTimeout(end, ttlMs));
    };
    const countdown: Countdown = leaseCountdown(this.#clock, ttlMs);
    begin();
    this.#fence = Math.max(this.#fence + 1, this.#clock.now() * 1_000);
    return new HeldLease({
      key,
      fencingToken: this.#fence,
      ttlMs,
      renew,
      clock: this.#clock,
      countdown,
      extend: async () => {
        const held = place.holders.has(holder);
        if (held) begin();
        return held;
      },
      release: async () => end(),
    });
  }

  #wake(key: string, place: Place): void {
    for (const waiter of place.queue) {
      if (place.holders.size >= waiter.request.permits) return;
      waiter.give(this.#give(key, place, waiter.request));
    }
    if (place.holders.size === 0 && this.#places.get(key) === place) this.#places.delete(key);
  }
}
