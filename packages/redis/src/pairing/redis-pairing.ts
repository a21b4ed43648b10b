import { ArgumentError, type Clock, type Duration, durationMs, type RedisExecutor } from '@cachekit/core';
import { assertCallOptions } from '../call-options.ts';
import { fromJson, toJson } from '../json-value.ts';
import { runScript } from '../script.ts';
import { pairingAttemptScript } from '../scripts/pairing-attempt.ts';
import { pairingCancelScript } from '../scripts/pairing-cancel.ts';
import { pairingClaimScript } from '../scripts/pairing-claim.ts';
import { pairingCreateScript } from '../scripts/pairing-create.ts';
import { pairingDecideScript } from '../scripts/pairing-decide.ts';
import { pairingForgiveScript } from '../scripts/pairing-forgive.ts';
import { pairingLookScript } from '../scripts/pairing-look.ts';
import { hashOf, newSecret, type RandomBytes } from '../secret.ts';
import { Bell, Ear, type WakeUp } from '../wake-up.ts';
import type { ClaimResult, NewPairing, Pairing } from './pairing.ts';
import {
  assertClaimer,
  attemptsKey,
  newCode,
  pairingKey,
  pairingSecret,
  parsePairingSecret,
  readCode,
} from './pairing-code.ts';
import { expired, type PairingPoll, type PairingStatus, pollOf, statusOf } from './pairing-status.ts';

/** How often one who waits looks by itself. */
const lookEveryMs = { pubsub: 2_000, poll: 500 } as const;
/** Longest life of a code. */
export const longestMs = 86_400_000;

/** What a pairing needs. */
export interface PairingParts {
  readonly redis: RedisExecutor;
  readonly namespace: string;
  readonly wakeUp: WakeUp;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly ttlMs: number;
  readonly intervalMs: number;
  readonly attempts: { readonly limit: number; readonly windowMs: number };
}

/** {@link Pairing} over an executor. */
export class RedisPairing<T, R> implements Pairing<T, R> {
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
      const key = pairingKey(namespace, code);
      const ends = await runScript(redis, pairingCreateScript, [key], [text, hash, ttlMs]);
      if (ends === 0) continue;
      return { code, secret: pairingSecret(code, secret), expiresAt: new Date(ends), intervalMs };
    }
  }

  async claim(code: string, claim: { readonly by: string; readonly from?: string }): Promise<ClaimResult<T>> {
    const { redis, namespace, attempts } = this.#parts;
    const by = assertClaimer(claim?.by);
    const counted = attemptsKey(namespace, assertClaimer(claim.from ?? by));
    const limit = [attempts.limit, attempts.windowMs];
    const retryAfterMs = await runScript(redis, pairingAttemptScript, [counted], limit);
    if (retryAfterMs > 0) return { outcome: 'locked', retryAfterMs };
    const read = readCode(code);
    if (read === undefined) return { outcome: 'unknown' };
    const reply = await runScript(redis, pairingClaimScript, [pairingKey(namespace, read)], [by]);
    if (reply.length === 0) return { outcome: 'unknown' };
    if (reply.length === 1) return { outcome: 'taken' };
    const [claimed, text, ends] = reply;
    await runScript(redis, pairingForgiveScript, [counted], []).catch(ignore);
    return { outcome: 'claimed', first: claimed === 1, data: fromJson(text) as T, expiresAt: new Date(ends) };
  }

  async confirm(code: string, decision: { readonly by: string; readonly answer: R }): Promise<boolean> {
    return this.#decide(code, decision?.by, 'confirmed', toJson(decision?.answer, 'answer'));
  }

  deny(code: string, decision: { readonly by: string }): Promise<boolean> {
    return this.#decide(code, decision?.by, 'denied', '');
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
    assertCallOptions('waitForClaim', options, ['until', 'wait', 'signal']);
    const { until = 'claimed', wait, signal } = options;
    if (until !== 'claimed' && until !== 'decided')
      throw new ArgumentError('until: give "claimed" or "decided"');
    const waitMs = wait === undefined ? longestMs : durationMs(wait, 'wait');
    if (waitMs > longestMs) throw new ArgumentError('wait: give at most a day');
    if (signal && typeof signal.throwIfAborted !== 'function') {
      throw new ArgumentError('signal: give an AbortSignal');
    }
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
    return (await runScript(this.#parts.redis, pairingCancelScript, [place.key], [place.hash])) === 1;
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
    return (await runScript(this.#parts.redis, pairingDecideScript, [key], [by, state, answer])) === 1;
  }

  async #look(secret: string, intervalMs: number): Promise<PairingStatus<T, R> | 'slow_down'> {
    const place = await this.#place(secret);
    if (place === undefined) return expired;
    const args = [place.hash, intervalMs];
    return statusOf(await runScript(this.#parts.redis, pairingLookScript, [place.key], args));
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
