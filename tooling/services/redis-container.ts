import { type Found, LinkUnavailable } from './link.ts';
import type { RedisServer } from './redis-server.ts';

export async function startRedisContainer(_args: readonly string[]): Promise<Found<RedisServer>> {
  throw new LinkUnavailable('no container engine');
}
