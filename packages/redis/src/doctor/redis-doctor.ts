import {
  assertExecutor,
  assertKnownOptions,
  assertNamespace,
  type Clock,
  defaultNamespace,
  type RedisExecutor,
  systemClock,
} from '@cachekit/core';
import { isReplyError } from '../executors/reply-error.ts';
import { type Info, numberOf, readInfo } from '../info.ts';
import { cachePrefix, changesChannel, changesLog } from '../keys.ts';
import { runScript } from '../script.ts';
import { permissionsScript } from '../scripts/permissions.ts';

/** Options of {@link redisDoctor}. */
export interface RedisDoctorOptions {
  readonly redis: RedisExecutor;
  /** @defaultValue `'ck'` */
  readonly namespace?: string;
}

/** What the doctor looks at. */
export type RedisCheck = 'version' | 'eviction' | 'memory' | 'permissions' | 'tracking';

/** What was found in one respect. */
export interface RedisFinding {
  readonly check: RedisCheck;
  /**
   * - `ok`: as it should be.
   * - `warning`: it works, less well or with a risk that `message` names.
   * - `failure`: CacheKit does not work so.
   * - `unknown`: the server does not tell.
   */
  readonly level: 'ok' | 'warning' | 'failure' | 'unknown';
  readonly message: string;
}

/** From here on the server is nearly full. */
const nearlyFull = 0.8;
/** Nobody waits longer for the server to confirm tracking. */
const trackingMs = 5_000;

/**
 * Looks whether a Redis is fit for CacheKit: its version, what it does when it is full, what this user may do, and
 * whether it tells of changes. It writes nothing. On a cluster it looks at all masters and names the worst; what this user
 * may do it asks one of them.
 *
 * @returns One finding for each check, the worst first.
 * @throws ConfigurationError `INVALID_CONFIGURATION` for a wrong option.
 * @throws RedisUnavailableError `REDIS_UNAVAILABLE` if Redis does not answer.
 * @example
 * for (const { level, message } of await redisDoctor({ redis })) {
 *   if (level !== 'ok') console.warn(level, message);
 * }
 */
export async function redisDoctor(options: RedisDoctorOptions): Promise<readonly RedisFinding[]> {
  assertKnownOptions('redisDoctor', options, ['redis', 'namespace']);
  const { redis, namespace = defaultNamespace } = options;
  assertNamespace(namespace);
  assertExecutor('redisDoctor', redis);
  // First the one that rejects when there is nobody to ask.
  await redis.command('TIME').catch((error: unknown) => {
    if (!isReplyError(error)) throw error;
  });
  const [infos, permissions, tracking] = await Promise.all([
    infosOf(redis),
    permissionsOf(redis, namespace),
    trackingOf(redis, namespace, systemClock),
  ]);
  const worst = (look: (info: Info) => RedisFinding): RedisFinding =>
    worstFirst(infos.map(look))[0] as RedisFinding;
  return worstFirst([worst(versionOf), worst(evictionOf), worst(memoryOf), permissions, tracking]);
}

const order: readonly RedisFinding['level'][] = ['failure', 'warning', 'unknown', 'ok'];

function worstFirst(findings: RedisFinding[]): RedisFinding[] {
  return findings.sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
}

/** One that is empty where this user may not ask. */
async function infosOf(redis: RedisExecutor): Promise<readonly Info[]> {
  try {
    return await readInfo(redis);
  } catch (error) {
    if (isReplyError(error)) return [new Map()];
    throw error;
  }
}

function versionOf(info: Info): RedisFinding {
  const version = info.get('valkey_version') ?? info.get('redis_version');
  if (version === undefined) return found('version', 'unknown', 'The server does not tell its version');
  if (Number.parseInt(info.get('redis_version') ?? version, 10) >= 7) {
    return found('version', 'ok', `The version is ${version}`);
  }
  return found('version', 'failure', `The version is ${version}; CacheKit needs Redis 7 or Valkey`);
}

function evictionOf(info: Info): RedisFinding {
  const policy = info.get('maxmemory_policy');
  const limit = numberOf(info, 'maxmemory');
  if (policy === undefined) {
    return found('eviction', 'unknown', 'The server does not tell what it does when it is full');
  }
  if (policy === 'noeviction') {
    return found('eviction', 'ok', 'A full server drops nothing; writes of the cache are then refused');
  }
  if (limit === 0) {
    return found(
      'eviction',
      'ok',
      `The policy is ${policy}, but the server has no limit at which it would apply`,
    );
  }
  return found(
    'eviction',
    'warning',
    `The policy is ${policy}: a full server drops locks, limits, sessions and events too. The cache bears it; ` +
      'give the others a Redis with maxmemory-policy noeviction',
  );
}

function memoryOf(info: Info): RedisFinding {
  const used = numberOf(info, 'used_memory');
  const limit = numberOf(info, 'maxmemory');
  if (Number.isNaN(used)) return found('memory', 'unknown', 'The server does not tell how full it is');
  if (!(limit > 0)) return found('memory', 'ok', 'The server has no limit of its own');
  const share = Math.round((used / limit) * 100);
  return share >= nearlyFull * 100
    ? found('memory', 'warning', `The server is ${share} % full`)
    : found('memory', 'ok', `The server is ${share} % full`);
}

async function permissionsOf(redis: RedisExecutor, namespace: string): Promise<RedisFinding> {
  const channel = redis.capabilities.subscribe ? changesChannel(namespace) : '';
  try {
    const key = `${cachePrefix(namespace)}doctor`;
    await redis.command('MGET', key);
    const keys = redis.capabilities.cluster ? [key] : [key, changesLog(namespace)];
    const refused = await runScript(redis, permissionsScript, keys, [channel]);
    if (refused.length === 0) {
      return found('permissions', 'ok', 'This user may do all that the cache needs');
    }
    return found(
      'permissions',
      'failure',
      `This user may not do what the cache needs. ${refused.join('; ')}`,
    );
  } catch (error) {
    if (!isReplyError(error)) throw error;
    return found('permissions', 'failure', `This user may not do what the cache needs. ${error.message}`);
  }
}

function trackingOf(redis: RedisExecutor, namespace: string, clock: Clock): Promise<RedisFinding> {
  const tracker = redis.capabilities.tracking ? redis.tracker?.(cachePrefix(namespace)) : undefined;
  if (tracker === undefined) {
    const message =
      'This client cannot hold connections, so memory hears of changes within a second, by a log';
    return Promise.resolve(found('tracking', 'warning', message));
  }
  return new Promise<RedisFinding>((resolve) => {
    const end = (level: RedisFinding['level'], message: string): void => {
      clock.clearTimeout(timer);
      resolve(found('tracking', level, message));
      void tracker.close();
    };
    const timer = clock.setTimeout(
      () => end('unknown', `The server did not confirm tracking within ${trackingMs} ms`),
      trackingMs,
    );
    tracker.start({
      changed: () => {},
      flushed: () => {},
      lost: () => {},
      ready: () => end('ok', 'The server tells of every change'),
      refused: (error) =>
        end(
          'warning',
          `The server refuses CLIENT TRACKING (${error instanceof Error ? error.message : String(error)}): memory hears ` +
            'of what CacheKit writes, by messages, and not of what others do',
        ),
    });
  });
}

function found(check: RedisCheck, level: RedisFinding['level'], message: string): RedisFinding {
  return { check, level, message };
}
