import { announce } from './announce.ts';
import { firstOf } from './chain.ts';
import type { Found } from './link.ts';
import { downloadedRedis, installedRedis, type RedisBinary } from './redis-binary.ts';
import { startRedisContainer } from './redis-container.ts';
import { redisFromEnvironment } from './redis-from-environment.ts';
import { startRedisProcess, withoutPersistence } from './redis-process.ts';
import type { RedisServer } from './redis-server.ts';

/** Options of {@link startRedis}. */
export interface StartRedisOptions {
  /** Further arguments of the server, such as `['--maxmemory', '10mb']`. They imply `own`. */
  readonly args?: readonly string[];
  /** Whether the server must be this caller's alone, to be killed and restarted: `REDIS_URL` is then passed over. */
  readonly own?: boolean;
}

const advice: readonly string[] = [
  'install Redis 7 or newer, or Valkey (Debian, Ubuntu: apt install redis-server; macOS: brew install redis)',
  'start Docker or Podman',
  'set REDIS_URL to a Redis that this run may write to',
];

/**
 * Starts a Redis by the first way that works here: `REDIS_URL`, a server on PATH, a container, a download.
 *
 * @throws MissingServiceError when none works; its message says what was tried and what to install.
 */
export async function startRedis(options: StartRedisOptions = {}): Promise<RedisServer> {
  const { args = [] } = options;
  const own = options.own ?? args.length > 0;
  const server = await firstOf<Found<RedisServer>>({
    service: 'Redis',
    links: {
      env: () => redisFromEnvironment(own),
      path: async () => spawned('path', await installedRedis(), args),
      docker: () => startRedisContainer(args),
      download: async () => spawned('download', await downloadedRedis(), args),
    },
    advice,
  });
  announce('Redis', server.origin);
  return server;
}

async function spawned(
  link: 'path' | 'download',
  binary: RedisBinary,
  args: readonly string[],
): Promise<Found<RedisServer>> {
  const server = await startRedisProcess(binary, (place) => [...place.args, ...withoutPersistence, ...args]);
  return {
    url: `redis://127.0.0.1:${server.port}`,
    port: server.port,
    link,
    origin: `${binary.path} (${binary.name}${link === 'download' ? ', unpacked from its apt package' : ''})`,
    get pid() {
      return server.pid;
    },
    kill: server.kill,
    restart: server.restart,
    stop: server.stop,
  };
}
