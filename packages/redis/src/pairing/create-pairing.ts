import {
  assertExecutor,
  assertKnownOptions,
  assertNamespace,
  ConfigurationError,
  type Duration,
  defaultNamespace,
  durationMs,
  systemClock,
} from '@cachekit/core';
import { assertWakeUp } from '../wake-up.ts';
import type { Pairing, PairingOptions } from './pairing.ts';
import { longestMs, RedisPairing } from './redis-pairing.ts';

const tenMinutesMs = 600_000;

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
  assertExecutor('createPairing', redis);
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
