import { RedisUnavailableError } from '../errors.ts';
import type { IoRedisConnectionLike } from './ioredis-like.ts';

/**
 * The masters of a cluster as it names them now.
 *
 * ioredis forgets a node whose connection was lost until a command for its slots is redirected, so those it knows at a moment may
 * be fewer; what is meant for all would leave one out and nobody would be told.
 *
 * @throws RedisUnavailableError `REDIS_UNAVAILABLE` if the cluster cannot be asked, or one of them is still not known.
 */
export async function allMasters(cluster: IoRedisConnectionLike): Promise<readonly IoRedisConnectionLike[]> {
  await refreshed(cluster);
  const masters = cluster.nodes?.('master') ?? [];
  const owners = new Set<string>();
  cluster.slots?.forEach(([owner]) => {
    if (owner !== undefined) owners.add(owner);
  });
  if (masters.length < owners.size) {
    const message = `${masters.length} of ${owners.size} masters are known`;
    throw new RedisUnavailableError('CLUSTER SLOTS', { message, sent: false });
  }
  return masters;
}

function refreshed(cluster: IoRedisConnectionLike): Promise<void> {
  return new Promise((resolve, reject) => {
    cluster.refreshSlotsCache?.((cause) => {
      if (!cause) return resolve();
      reject(new RedisUnavailableError('CLUSTER SLOTS', { message: cause.message, sent: false, cause }));
    });
  });
}
