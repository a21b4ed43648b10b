import { announce } from './announce.ts';
import { firstOf } from './chain.ts';
import type { Link } from './link.ts';
import { downloadedRedis, installedRedis, type RedisBinary } from './redis-binary.ts';
import type { RedisProcess } from './redis-process.ts';

/**
 * The binary for servers that have to reach each other by the addresses that they announce, which is only so for
 * processes of this machine: neither `REDIS_URL` nor a container will do.
 *
 * @throws MissingServiceError when there is none.
 */
export async function binaryForGroup(service: string): Promise<RedisBinary> {
  const found = async (link: Link, binary: RedisBinary): Promise<{ link: Link; binary: RedisBinary }> => ({
    link,
    binary,
  });
  const { link, binary } = await firstOf({
    service,
    links: {
      path: async () => found('path', await installedRedis()),
      download: async () => found('download', await downloadedRedis()),
    },
    advice: [
      'install Redis 7 or newer, or Valkey (Debian, Ubuntu: apt install redis-server; macOS: brew install redis)',
    ],
  });
  announce(service, `${binary.path} (${binary.name}, link ${link})`);
  return binary;
}

/** Starts all processes, or none: when one fails, those that started are stopped. */
export async function startTogether(starts: readonly Promise<RedisProcess>[]): Promise<RedisProcess[]> {
  const settled = await Promise.allSettled(starts);
  const started = settled.filter((each) => each.status === 'fulfilled').map((each) => each.value);
  const failed = settled.find((each) => each.status === 'rejected');
  if (failed === undefined) return started;
  await Promise.all(started.map((server) => server.stop()));
  throw failed.reason;
}
