import {
  type Clock,
  type Countdown,
  HeldLease,
  type Lease,
  type LockRequest,
  leaseCountdown,
  type RedisExecutor,
} from '@cachekit/core';
import { runScript } from '../script.ts';
import { lockAcquireScript } from '../scripts/lock-acquire.ts';
import { lockExtendScript } from '../scripts/lock-extend.ts';
import { lockReleaseScript } from '../scripts/lock-release.ts';

/** What a lock is handed over for; the holder prolongs it. A machine that is gone holds up the others for as long. */
const spanMs = 3_000;
/** The same where Redis does not know whether one who waits is still there. */
const uncountedSpanMs = 1_500;
/** What was handed over is prolonged after this, and again after this if Redis did not answer. */
const prolongMs = 100;

interface HeldLockOptions {
  readonly redis: RedisExecutor;
  readonly clock: Clock;
}

/** What was asked for, and how those who wait are woken. */
export interface LockCall {
  readonly key: string;
  readonly request: LockRequest;
  readonly channels: string;
  readonly counted: 0 | 1;
}

/** One call of `lock`, under a token of its own. */
export class HeldLock {
  readonly token: string;
  /** When the first of the holders expires, as of the last look. */
  firstExpiryMs = 0;
  /** Whether it has a place in the queue, as of the last look. */
  queued = false;
  readonly #options: HeldLockOptions;
  readonly #keys: readonly string[];
  readonly #call: LockCall;
  /** For how long it is held when it is handed over. */
  readonly #spanMs: number;
  /** Of what is handed over after the last look: it began before that look, and so before that can happen. */
  #countdown: Countdown | undefined;
  #lookedAt = 0;
  /** The greatest fencing token that anyone had at the last look. */
  #lastFence = 0;

  constructor(options: HeldLockOptions, keys: readonly string[], token: string, call: LockCall) {
    this.#options = options;
    this.#keys = keys;
    this.token = token;
    this.#call = call;
    this.#spanMs = Math.min(call.request.ttlMs, call.counted === 1 ? spanMs : uncountedSpanMs);
  }

  /** @param stay - How long the place in the queue is kept, in ms; 0 takes none. */
  async acquire(stay: number): Promise<Lease | undefined> {
    const { redis, clock } = this.#options;
    const { channels, counted, request } = this.#call;
    const { ttlMs, permits } = request;
    this.#forget();
    const countdown = leaseCountdown(clock, ttlMs);
    // Without a place in the queue nothing is handed over.
    const handOver = stay > 0 ? leaseCountdown(clock, this.#spanMs) : undefined;
    this.#lookedAt = clock.now();
    try {
      const args = [this.token, ttlMs, permits, stay, channels, counted, this.#spanMs];
      const reply = await runScript(redis, lockAcquireScript, this.#keys, args);
      const [fence, firstExpiryMs = 0, lastFence = 0] = reply;
      if (fence > 0) {
        handOver?.stop();
        return this.#lease(fence, countdown);
      }
      this.firstExpiryMs = firstExpiryMs;
      this.#lastFence = lastFence;
      this.queued = stay > 0;
    } catch (error) {
      handOver?.stop();
      countdown.stop();
      throw error;
    }
    this.#countdown = handOver;
    countdown.stop();
    return undefined;
  }

  /**
   * The lock as it was handed over, under this fencing token; nothing if none was, if it was before the last look, which
   * found nothing, or if so much time may have passed since that it is better to ask.
   *
   * It is prolonged to its whole `ttl` a little later, so that who needs it shortly asks for nothing.
   */
  handedOver(fence: number | undefined): Lease | undefined {
    const { clock } = this.#options;
    const countdown = this.#countdown;
    if (fence === undefined || countdown === undefined || fence <= this.#lastFence) return undefined;
    if (Math.abs(clock.now() - this.#lookedAt) > this.#spanMs / 2) return undefined;
    this.#countdown = undefined;
    const lease = this.#lease(fence, countdown);
    clock.setTimeout(() => void this.#prolong(lease), Math.min(prolongMs, this.#spanMs / 8));
    return lease;
  }

  /** Whatever this token has, nobody waits for it. What cannot be told expires by itself. */
  async giveUp(): Promise<void> {
    this.#forget();
    await this.#release().catch(() => {});
  }

  #forget(): void {
    this.#countdown?.stop();
    this.#countdown = undefined;
  }

  async #prolong(lease: HeldLease): Promise<void> {
    const { clock } = this.#options;
    try {
      await lease.extend();
    } catch {
      // The lease ends by itself if Redis does not answer for longer.
      if (!lease.signal.aborted) clock.setTimeout(() => void this.#prolong(lease), prolongMs);
    }
  }

  #lease(fencingToken: number, countdown: Countdown): HeldLease {
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
      extend: async () => (await runScript(redis, lockExtendScript, this.#keys, [this.token, ttlMs])) === 1,
      release: async () => (await this.#release()) === 1,
    });
  }

  #release(): Promise<0 | 1> {
    const { channels, counted, request } = this.#call;
    return runScript(this.#options.redis, lockReleaseScript, this.#keys, [
      this.token,
      request.permits,
      channels,
      counted,
    ]);
  }
}
