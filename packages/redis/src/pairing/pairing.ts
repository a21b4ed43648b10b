import {
  ArgumentError,
  assertKnownOptions,
  assertNamespace,
  type Clock,
  ConfigurationError,
  type Duration,
  defaultNamespace,
  durationMs,
  type RedisExecutor,
  systemClock,
} from '@cachekit/core';
import { fromJson, toJson } from '../json-value.ts';
import { pairingAttemptScript } from '../scripts/pairing-attempt.ts';
import { pairingCancelScript } from '../scripts/pairing-cancel.ts';
import { pairingClaimScript } from '../scripts/pairing-claim.ts';
import { pairingCreateScript } from '../scripts/pairing-create.ts';
import { pairingDecideScript } from '../scripts/pairing-decide.ts';
import { pairingForgiveScript } from '../scripts/pairing-forgive.ts';
import { pairingLookScript } from '../scripts/pairing-look.ts';
import { hashOf, newSecret, type RandomBytes } from '../secret.ts';
import { assertWakeUp, Bell, Ear, type WakeUp } from '../wake-up.ts';
import {
  assertClaimer,
  attemptsKey,
  newCode,
  pairingKey,
  pairingSecret,
  parsePairingSecret,
  readCode,
} from './pairing-code.ts';
import {
  expired,
  type LookReply,
  type PairingPoll,
  type PairingStatus,
  pollOf,
  statusOf,
} from './pairing-status.ts';

/** Options of {@link createPairing}. */
export interface PairingOptions {
  readonly redis: RedisExecutor;
  /** @defaultValue `'ck'` */
  readonly namespace?: string;
  /**
   * How long a code can be used, such as `"10m"`.
   *
   * @defaultValue 10 minutes
   */
  readonly ttl?: Duration;
  /**
   * How many wrong codes one who claims may give, and in what time, before he is locked out until it is over.
   *
   * @defaultValue 10 in 10 minutes
   */
  readonly attempts?: { readonly limit: number; readonly window: Duration };
  /**
   * How long who polls has to wait in between.
   *
   * @defaultValue 5 seconds
   */
  readonly interval?: Duration;
  /**
   * How `waitForClaim` learns of it.
   *
   * @defaultValue `'pubsub'`
   */
  readonly wakeUp?: WakeUp;
  readonly clock?: Clock;
  /** @defaultValue `crypto.getRandomValues` */
  readonly random?: RandomBytes;
}

/** A code that has been made. */
export interface NewPairing {
  /** For the person: to be typed or scanned. RFC 8628 calls it `user_code`. */
  readonly code: string;
  /** For the device that shows the code, and nobody else. RFC 8628 calls it `device_code`. */
  readonly secret: string;
  readonly expiresAt: Date;
  /** How long to wait between two calls of `poll`. */
  readonly intervalMs: number;
}

/**
 * How a claim ended.
 *
 * | outcome   | means                                                                                 |
 * | --------- | ------------------------------------------------------------------------------------- |
 * | `claimed` | the pairing is his; `first` is false if it was already, so a repetition does no harm |
 * | `taken`   | somebody else was faster                                                              |
 * | `unknown` | there is no such code, or no longer                                                   |
 * | `locked`  | too many wrong codes                                                                  |
 */
export type ClaimResult<T> =
  | { readonly outcome: 'claimed'; readonly first: boolean; readonly data: T; readonly expiresAt: Date }
  | { readonly outcome: 'taken' | 'unknown' }
  | { readonly outcome: 'locked'; readonly retryAfterMs: number };

/** Brings two together by a short code. Every method rejects within the timeout of the executor if Redis does not answer. */
export interface Pairing<T, R> {
  /** Makes a code that no other pairing has, with what its claimer is to get. */
  create(data: T): Promise<NewPairing>;
  /**
   * Uses a code. Small letters, spaces and dashes do not matter.
   *
   * @param claim - `by` is who claims. Wrong codes are counted for `from`, such as an address, or else for `by`.
   */
  claim(code: string, claim: { readonly by: string; readonly from?: string }): Promise<ClaimResult<T>>;
  /** Agrees, with an answer for the one who made the code. @returns Whether it is confirmed by this one. */
  confirm(code: string, decision: { readonly by: string; readonly answer: R }): Promise<boolean>;
  /** Refuses. @returns Whether it is denied by this one. */
  deny(code: string, decision: { readonly by: string }): Promise<boolean>;
  /** Where the pairing stands. */
  status(secret: string): Promise<PairingStatus<T, R>>;
  /** The same in the words of RFC 8628, `slow_down` among them; for a device that asks over HTTP. */
  poll(secret: string): Promise<PairingPoll<T, R>>;
  /**
   * Waits until somebody has used the code, or until it is decided, but not longer than the pairing lives.
   *
   * @returns Where it stands then; with `wait`, also when that is over.
   * @throws Whatever `signal` was aborted with.
   */
  waitForClaim(
    secret: string,
    options?: {
      readonly until?: 'claimed' | 'decided';
      readonly wait?: Duration;
      readonly signal?: AbortSignal;
    },
  ): Promise<PairingStatus<T, R>>;
  /** Ends the pairing. @returns Whether there was one. */
  cancel(secret: string): Promise<boolean>;
  /** Ends the subscription; who waits goes on by looking. */
  close(): Promise<void>;
}

const tenMinutesMs = 600_000;
/** How often one who waits looks by itself. */
const lookEveryMs = { pubsub: 2_000, poll: 500 } as const;
/** Longest life of a code. */
const longestMs = 86_400_000;

/**
 * Pairs a device with a person by a short code, as with a QR code or by typing it in.
 *
 * - Codes do not collide: one that is in use is not given out again.
 * - A code is claimed **once**, however many try at the same time; the claimer may repeat it.
 * - Wrong codes are counted before they are looked up, so guessing side by side is no way around the limit.
 * - Redis has the hash of the secret only. Time is the server's.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for a wrong option.
 * @throws UnsupportedByClientError `UNSUPPORTED_BY_CLIENT` if `wakeUp` is `pubsub` and the client cannot subscribe.
 * @see RFC 8628, OAuth 2.0 Device Authorization Grant
 * @example
 * const pairing = createPairing<{ device: string }, { user: string }>({ redis, ttl: '10m' });
 * const { code, secret } = await pairing.create({ device: 'desk-1' });
 * await pairing.claim(code, { by: 'user-7' }); // on the phone
 * await pairing.confirm(code, { by: 'user-7', answer: { user: '7' } });
 * const status = await pairing.waitForClaim(secret, { until: 'decided' }); // on the device
 * await pairing.close();
 */
export function createPairing<T, R = unknown>(options: PairingOptions): Pairing<T, R> {
  assertKnownOptions('createPairing', options, [
    'redis',
    'namespace',
    'ttl',
    'attempts',
    'interval',
    'wakeUp',
    'clock',
    'random',
  ]);
  const { redis, namespace = defaultNamespace, wakeUp = 'pubsub', clock = systemClock } = options;
  assertNamespace(namespace);
  assertWakeUp(wakeUp, redis, 'pairing');
  const { limit, window } = options.attempts ?? { limit: 10, window: tenMinutesMs };
  if (!Number.isInteger(limit) || limit < 1 || limit > 1_000_000) {
    throw new ConfigurationError('attempts.limit: give a whole number from 1 to 1000000');
  }
  return new RedisPairing<T, R>({
    redis,
    namespace,
    wakeUp,
    clock,
    random: options.random ?? ((count) => crypto.getRandomValues(new Uint8Array(count))),
    ttlMs: spanMs(options.ttl ?? tenMinutesMs, 'ttl'),
    intervalMs: spanMs(options.interval ?? 5_000, 'interval'),
    attempts: { limit, windowMs: spanMs(window, 'attempts.window') },
  });
}

function spanMs(duration: Duration, name: string): number {
  const ms = Math.ceil(durationMs(duration, name));
  if (ms >= 1 && ms <= longestMs) return ms;
  throw new ConfigurationError(`${name}: give more than 0 and at most a day`);
}

interface PairingParts {
  readonly redis: RedisExecutor;
  readonly namespace: string;
  readonly wakeUp: WakeUp;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly ttlMs: number;
  readonly intervalMs: number;
  readonly attempts: { readonly limit: number; readonly windowMs: number };
}

class RedisPairing<T, R> implements Pairing<T, R> {
  readonly #parts: PairingParts;
  readonly #ear: Ear;
  #closed = false;

  constructor(parts: PairingParts) {
    this.#parts = parts;
    this.#ear = new Ear(parts.redis);
  }

  async create(data: T): Promise<NewPairing> {
    const { redis, namespace, random, ttlMs, intervalMs } = this.#parts;
    const text = toJson(data, 'data');
    const secret = newSecret(random);
    const hash = await hashOf(secret);
    for (;;) {
      const code = newCode(random);
      const ends = (await redis.script(
        pairingCreateScript,
        [pairingKey(namespace, code)],
        [text, hash, ttlMs],
      )) as number;
      if (ends === 0) continue;
      return { code, secret: pairingSecret(code, secret), expiresAt: new Date(ends), intervalMs };
    }
  }

  async claim(code: string, claim: { readonly by: string; readonly from?: string }): Promise<ClaimResult<T>> {
    const { redis, namespace, attempts } = this.#parts;
    const by = assertClaimer(claim.by);
    const counted = attemptsKey(namespace, assertClaimer(claim.from ?? by));
    const retryAfterMs = (await redis.script(
      pairingAttemptScript,
      [counted],
      [attempts.limit, attempts.windowMs],
    )) as number;
    if (retryAfterMs > 0) return { outcome: 'locked', retryAfterMs };
    const read = readCode(code);
    if (read === undefined) return { outcome: 'unknown' };
    const [claimed, text, ends] = (await redis.script(
      pairingClaimScript,
      [pairingKey(namespace, read)],
      [by],
    )) as [number, string, number];
    if (claimed === undefined) return { outcome: 'unknown' };
    if (claimed === 0) return { outcome: 'taken' };
    await redis.script(pairingForgiveScript, [counted], []).catch(ignore);
    return { outcome: 'claimed', first: claimed === 1, data: fromJson(text) as T, expiresAt: new Date(ends) };
  }

  confirm(code: string, decision: { readonly by: string; readonly answer: R }): Promise<boolean> {
    return this.#decide(code, decision.by, 'confirmed', toJson(decision.answer, 'answer'));
  }

  deny(code: string, decision: { readonly by: string }): Promise<boolean> {
    return this.#decide(code, decision.by, 'denied', '');
  }

  async status(secret: string): Promise<PairingStatus<T, R>> {
    const status = await this.#look(secret, 0);
    return status === 'slow_down' ? expired : status;
  }

  async poll(secret: string): Promise<PairingPoll<T, R>> {
    return pollOf(await this.#look(secret, this.#parts.intervalMs));
  }

  async waitForClaim(
    secret: string,
    options: {
      readonly until?: 'claimed' | 'decided';
      readonly wait?: Duration;
      readonly signal?: AbortSignal;
    } = {},
  ): Promise<PairingStatus<T, R>> {
    const { clock, wakeUp } = this.#parts;
    const { until = 'claimed', wait, signal } = options;
    const waitMs = wait === undefined ? longestMs : durationMs(wait, 'wait');
    if (waitMs > longestMs) throw new ArgumentError('wait: give at most a day');
    signal?.throwIfAborted();
    const bell = new Bell(clock);
    let over = false;
    const end = (): void => {
      over = true;
      bell.ring();
    };
    const timer = clock.setTimeout(end, waitMs);
    signal?.addEventListener('abort', end);
    const unsubscribe = this.#listen(secret, bell);
    try {
      for (;;) {
        const status = await this.status(secret);
        signal?.throwIfAborted();
        const goesOn = status.state === 'pending' || (until === 'decided' && status.state === 'claimed');
        if (over || !goesOn) return status;
        await bell.pause(this.#closed ? lookEveryMs.poll : lookEveryMs[wakeUp]);
      }
    } finally {
      clock.clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      unsubscribe();
    }
  }

  async cancel(secret: string): Promise<boolean> {
    const place = await this.#place(secret);
    if (place === undefined) return false;
    return (await this.#parts.redis.script(pairingCancelScript, [place.key], [place.hash])) === 1;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#ear.close();
  }

  /** Rings when something happens to the pairing, and when that may have been missed. */
  #listen(secret: string, bell: Bell): () => void {
    const parsed = parsePairingSecret(secret);
    if (parsed === undefined || this.#parts.wakeUp === 'poll' || this.#closed) return ignore;
    const { subscriber } = this.#ear;
    const forget = subscriber.onState(bell.ring);
    const subscription = subscriber.subscribe(pairingKey(this.#parts.namespace, parsed.code), bell.ring);
    // It may be confirmed only after the first look; and if it is refused, the looks are what is left.
    subscription.then(bell.ring, ignore);
    return () => {
      forget();
      subscription.then((unsubscribe) => unsubscribe()).catch(ignore);
    };
  }

  async #decide(code: string, by: string, state: 'confirmed' | 'denied', answer: string): Promise<boolean> {
    const read = readCode(code);
    assertClaimer(by);
    if (read === undefined) return false;
    const key = pairingKey(this.#parts.namespace, read);
    return (await this.#parts.redis.script(pairingDecideScript, [key], [by, state, answer])) === 1;
  }

  async #look(secret: string, intervalMs: number): Promise<PairingStatus<T, R> | 'slow_down'> {
    const place = await this.#place(secret);
    if (place === undefined) return expired;
    const args = [place.hash, intervalMs];
    return statusOf((await this.#parts.redis.script(pairingLookScript, [place.key], args)) as LookReply);
  }

  async #place(secret: string): Promise<{ readonly key: string; readonly hash: string } | undefined> {
    const parsed = parsePairingSecret(secret);
    if (parsed === undefined) return undefined;
    return { key: pairingKey(this.#parts.namespace, parsed.code), hash: await hashOf(parsed.secret) };
  }
}

function ignore(): void {
  // What failed is made up for by the next look, or by the end of the window.
}
