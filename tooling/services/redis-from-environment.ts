import { type Found, LinkUnavailable } from './link.ts';
import type { RedisServer } from './redis-server.ts';

/**
 * The server of `REDIS_URL`.
 *
 * @throws LinkUnavailable when the variable is unset, or the caller needs a server of its own.
 * @throws Error when it is set and nothing answers there: a wish that cannot be met is no reason to use another server.
 */
export async function redisFromEnvironment(own: boolean): Promise<Found<RedisServer>> {
  const url = process.env.REDIS_URL;
  if (url === undefined || url === '') throw new LinkUnavailable('REDIS_URL is not set');
  if (own) throw new LinkUnavailable('REDIS_URL is shared, and a server of its own is needed here');
  const { Redis } = await import('ioredis');
  const client = new Redis(url, { lazyConnect: true, connectTimeout: 5_000, retryStrategy: () => null });
  let reason: unknown;
  client.on('error', (error: unknown) => {
    reason = error;
  });
  try {
    await client.connect();
    await client.ping();
  } catch (error) {
    throw new Error(`REDIS_URL is set, but no Redis answers at ${withoutPassword(url)}: ${reason ?? error}`);
  } finally {
    client.disconnect();
  }
  const refuse = (): never => {
    throw new Error('The server of REDIS_URL is not ours to kill: start one with startRedis({ own: true })');
  };
  return {
    url,
    port: Number(new URL(url).port) || 6379,
    pid: undefined,
    link: 'env',
    origin: `REDIS_URL (${withoutPassword(url)})`,
    kill: async () => refuse(),
    restart: async () => refuse(),
    stop: async () => {},
  };
}

function withoutPassword(url: string): string {
  const shown = new URL(url);
  if (shown.password !== '') shown.password = '***';
  return shown.href;
}
