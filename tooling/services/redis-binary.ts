import { arch } from 'node:os';
import { join } from 'node:path';
import { aptProgram } from './apt-program.ts';
import { cachedFolder, cacheRoot, discardCachedFolder } from './cache-folder.ts';
import { distribution } from './distribution.ts';
import { findOnPath } from './find-executable.ts';
import { LinkUnavailable } from './link.ts';
import { run } from './run.ts';

/** A server binary that was seen to start on this machine. */
export interface RedisBinary {
  readonly path: string;
  /** "Redis 7.0.15" or "Valkey 8.1.0". */
  readonly name: string;
  readonly env: NodeJS.ProcessEnv;
}

const oldest = 7;

/**
 * The server on this machine: `CACHEKIT_REDIS_SERVER`, else `redis-server` or `valkey-server` on PATH.
 *
 * @throws LinkUnavailable when there is none, or only ones older than version 7.
 */
export async function installedRedis(): Promise<RedisBinary> {
  const named = process.env.CACHEKIT_REDIS_SERVER;
  const candidates =
    named === undefined || named === ''
      ? ['redis-server', 'valkey-server'].map(findOnPath).filter((path) => path !== undefined)
      : [named];
  const refused: string[] = [];
  for (const path of candidates) {
    const found = await probe(path, process.env);
    if (typeof found === 'object') return found;
    refused.push(found);
  }
  throw new LinkUnavailable(
    refused.length > 0 ? refused.join('\n') : 'neither redis-server nor valkey-server is on PATH',
  );
}

/**
 * The server of the distribution's package, downloaded and unpacked into the user's cache folder, never installed.
 *
 * @throws LinkUnavailable when the machine has no apt or the package cannot be had.
 */
export async function downloadedRedis(): Promise<RedisBinary> {
  const name = `redis-${distribution()}-${arch()}`;
  for (const attempt of [1, 2]) {
    const folder = await cachedFolder(name, fillWithRedis);
    const found = await probe(join(folder, 'redis-server'), {
      ...process.env,
      LD_LIBRARY_PATH: join(folder, 'lib'),
    });
    if (typeof found === 'object') return found;
    // Kept from a machine or a distribution that has changed since: made anew once.
    await discardCachedFolder(name);
    if (attempt === 2) throw new LinkUnavailable(found);
  }
  throw new LinkUnavailable(`nothing usable in ${cacheRoot()}`);
}

// Debian's redis-server is one program under two names, chosen by the name it is called with.
const fillWithRedis = (folder: string): Promise<void> =>
  aptProgram(folder, ['redis-server', 'redis-tools'], 'redis-server', [
    'usr/bin/redis-check-rdb',
    'usr/bin/redis-server',
  ]);

/** The binary, or a sentence saying why it cannot be used. */
async function probe(path: string, env: NodeJS.ProcessEnv): Promise<RedisBinary | string> {
  const ran = await run(path, ['--version'], { env, timeout: 10_000 });
  const version = /v=(\d+)\.(\d+)\.(\d+)/.exec(ran.stdout);
  if (!ran.ok || version === null) return `${path} does not start: ${ran.output}`;
  const [, major, minor, patch] = version;
  const product = /^valkey/i.test(ran.stdout) ? 'Valkey' : 'Redis';
  const name = `${product} ${major}.${minor}.${patch}`;
  return Number(major) >= oldest ? { path, name, env } : `${path} is ${name}; ${oldest} or newer is needed`;
}
