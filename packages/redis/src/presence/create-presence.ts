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
import type { Presence, PresenceOptions } from './presence.ts';
import { RedisPresence } from './redis-presence.ts';

/**
 * Keeps who is online in Redis, one sorted set per tenant.
 *
 * - Each member drops out by itself `ttl` after it was last seen, also while others of the tenant stay. Time is the
 *   server's. Lists and counts are right whether or not anybody sweeps.
 * - **Joins and leaves are told once**, with the reason of a leave, at the latest a second after it; see
 *   {@link Presence.onChange} and {@link Presence.watch}.
 * - A member may have several **devices**, and something may be said about each.
 * - A process **holds** the members of its connections with one command for all, and they leave soon after it dies.
 *
 * A tenant without anybody costs nothing: what is stored expires with its last member.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for a wrong option.
 * @throws UnsupportedByClientError `UNSUPPORTED_BY_CLIENT` if `wakeUp` is `pubsub` and the client cannot subscribe.
 * @example
 * const presence = createPresence({ redis, ttl: '5m' });
 * await presence.seen('user-1', 'phone-7');
 * await presence.online('user-1'); // ['phone-7']
 * presence.onChange(({ type, member }) => console.log(type, member)); // 'leave phone-7', five minutes later
 * await presence.close();
 */
export function createPresence<M = unknown>(options: PresenceOptions): Presence<M> {
  assertKnownOptions('createPresence', options, [
    'redis',
    'namespace',
    'ttl',
    'grace',
    'lease',
    'wakeUp',
    'clock',
    'random',
  ]);
  const { redis, namespace = defaultNamespace, wakeUp = 'pubsub', clock = systemClock } = options;
  assertExecutor('createPresence', redis);
  assertNamespace(namespace);
  assertWakeUp(wakeUp, redis, 'presence');
  return new RedisPresence<M>({
    redis,
    namespace,
    wakeUp,
    clock,
    random: options.random ?? (() => Math.random()),
    ttlMs: spanMs(options.ttl, 'ttl', 1),
    graceMs: spanMs(options.grace ?? 0, 'grace', 0),
    leaseMs: spanMs(options.lease ?? 10_000, 'lease', 100),
  });
}

/** The longest timer of JavaScript. */
const longestMs = 2 ** 31 - 1;

function spanMs(duration: Duration, name: string, leastMs: number): number {
  const ms = Math.ceil(durationMs(duration, name));
  if (ms >= leastMs && ms <= longestMs) return ms;
  throw new ConfigurationError(`${name}: give ${leastMs} ms to 24 days`);
}
