import {
  assertExecutor,
  assertKnownOptions,
  assertNamespace,
  type CoherenceMode,
  ConfigurationError,
  defaultNamespace,
} from '@cachekit/core';
import { UnsupportedByClientError } from '../errors.ts';
import type { RedisTier, RedisTierOptions } from './redis-tier.ts';
import { TierOverRedis } from './tier-over-redis.ts';

const modes: readonly CoherenceMode[] = ['tracking', 'pubsub', 'log', 'ttl'];

/**
 * The tier that processes share, in Redis or Valkey.
 *
 * - Each entry is one string with its lease in it; every write is one script, so it happens whole or not at all.
 * - A load that was overtaken by a delete, a put, a tag, or a write of any other client never lands.
 * - Clocks are the server's; those of clients do not matter.
 * - A tag that the server does not know, because it was evicted or lost, makes its entries invalid.
 * - The reads of a tick travel as one `MGET`, the loads that begin in a tick as one script call, and those that end in a
 *   tick as one; on a cluster, one for each tenant.
 * - On a cluster, methods on many keys are carried out slot by slot. If one fails, the others may be done.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for a wrong option.
 * @throws UnsupportedByClientError `UNSUPPORTED_BY_CLIENT` if the client cannot hold the connections that `coherence`
 * needs.
 * @example
 * const tier = redisTier({ redis });
 * tier.onFallback(({ from, to, reason }) => console.warn('Redis refuses', from, 'so it is', to, reason));
 * const cache = createCache({ remote: tier });
 */
export function redisTier(options: RedisTierOptions): RedisTier {
  assertKnownOptions('redisTier', options, ['redis', 'namespace', 'coherence']);
  const { redis, namespace = defaultNamespace, coherence } = options;
  assertNamespace(namespace);
  assertExecutor('redisTier', redis);
  if (coherence !== undefined && !modes.includes(coherence)) {
    throw new ConfigurationError(
      `coherence: "${String(coherence)}" is none; it is one of ${modes.join(', ')}`,
    );
  }
  const { cluster, subscribe, tracking = false } = redis.capabilities;
  const best = tracking ? 'any' : subscribe ? 'pubsub' : 'log';
  const chosen = coherence ?? best;
  if (
    (chosen === 'tracking' && !(tracking && redis.tracker)) ||
    (chosen === 'pubsub' && !subscribe) ||
    (chosen === 'log' && cluster)
  ) {
    throw new UnsupportedByClientError('This client', `coherence by ${chosen}`);
  }
  return new TierOverRedis(redis, namespace, chosen);
}
