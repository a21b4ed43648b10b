import {
  ArgumentError,
  assertKnownOptions,
  assertNamespace,
  ConfigurationError,
  type Duration,
  defaultNamespace,
  durationMs,
  type RedisExecutor,
} from '@cachekit/core';
import { presenceKey } from '../keys.ts';
import { presenceOnlineScript } from '../scripts/presence-online.ts';
import { presenceSeenScript } from '../scripts/presence-seen.ts';

/** Options of {@link createPresence}. */
export interface PresenceOptions {
  readonly redis: RedisExecutor;
  /** @defaultValue `'ck'` */
  readonly namespace?: string;
  /** How long a member stays online after it was last seen, such as `"5m"`. */
  readonly ttl: Duration;
}

/** Who of a tenant is online. Every method rejects within the timeout of the executor if Redis does not answer. */
export interface Presence {
  /**
   * Notes that the member is here.
   *
   * @returns Whether it was away before.
   */
  seen(tenant: string, member: string): Promise<boolean>;
  /**
   * Notes that the member has gone.
   *
   * @returns Whether it was here.
   */
  leave(tenant: string, member: string): Promise<boolean>;
  /** The members seen within `ttl`, the one seen longest ago first. */
  online(tenant: string): Promise<readonly string[]>;
}

/** Longest name of a member, in characters. */
const maxMemberLength = 256;

/**
 * Keeps who is online in Redis, one sorted set per tenant.
 *
 * Each member drops out by itself `ttl` after it was last seen, also while others of the tenant stay. Time is the
 * server's. A tenant without anybody costs nothing: its set expires with its last member.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for a wrong option.
 * @example
 * const presence = createPresence({ redis, ttl: '5m' });
 * await presence.seen('user-1', 'phone-7');
 * await presence.online('user-1'); // ['phone-7']
 */
export function createPresence(options: PresenceOptions): Presence {
  assertKnownOptions('createPresence', options, ['redis', 'namespace', 'ttl']);
  const { redis, namespace = defaultNamespace } = options;
  assertNamespace(namespace);
  const ttlMs = Math.ceil(durationMs(options.ttl, 'ttl'));
  if (ttlMs === 0) throw new ConfigurationError('ttl: it must be more than 0');
  return {
    async seen(tenant, member) {
      const key = presenceKey(namespace, tenant);
      return (await redis.script(presenceSeenScript, [key], [assertMember(member), ttlMs])) === 1;
    },
    async leave(tenant, member) {
      return (await redis.command('ZREM', presenceKey(namespace, tenant), assertMember(member))) === 1;
    },
    async online(tenant) {
      return (await redis.script(presenceOnlineScript, [presenceKey(namespace, tenant)], [])) as string[];
    },
  };
}

function assertMember(member: string): string {
  if (typeof member === 'string' && member !== '' && member.length <= maxMemberLength) return member;
  throw new ArgumentError(
    `A member is a string of 1 to ${maxMemberLength} characters; got ${JSON.stringify(member)}`,
  );
}
