import { startContainer } from './container.ts';
import type { Found } from './link.ts';
import type { RedisServer } from './redis-server.ts';
import { waitForRedis } from './wait-for-redis.ts';

/**
 * A Redis in a container of `CACHEKIT_REDIS_IMAGE`, else `redis:8`.
 *
 * @throws LinkUnavailable when no engine answers or the image cannot be had.
 */
export async function startRedisContainer(args: readonly string[]): Promise<Found<RedisServer>> {
  const image = process.env.CACHEKIT_REDIS_IMAGE ?? 'redis:8';
  const container = await startContainer({
    image,
    port: 6379,
    // Without a password the server would refuse what comes through the published port.
    command: ['redis-server', '--save', '', '--appendonly', 'no', '--protected-mode', 'no', ...args],
    answers: (host, port) => waitForRedis(host, port, () => false),
  });
  return {
    ...container,
    url: `redis://${container.host}:${container.port}`,
    pid: undefined,
    link: 'docker',
    origin: `a container of ${image}`,
  };
}
