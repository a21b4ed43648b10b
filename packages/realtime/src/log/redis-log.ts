import {
  assertKnownOptions,
  assertNamespace,
  type Clock,
  ConfigurationError,
  type Duration,
  defaultNamespace,
  durationMs,
  globalPrefix,
  type RedisExecutor,
  systemClock,
  tenantPrefix,
} from '@cachekit/core';
import { newEpoch } from '../epoch.ts';
import type { LogPosition } from '../position.ts';
import { appendScript } from './append-script.ts';
import type {
  EventLog,
  LogAppend,
  LogFollower,
  LogRead,
  LogRecord,
  LogTail,
  NewLogRecord,
  NumberedRecord,
} from './event-log.ts';
import { createFollowing } from './following.ts';
import { forgetScript } from './forget-script.ts';
import { logLength } from './memory-log.ts';
import { readScript } from './read-script.ts';

/** Options of {@link createRedisLog}. */
export interface RedisLogOptions {
  /** Such as `ioredisExecutor(client)` of `@cachekit/redis`; it stays the caller's to close. */
  readonly redis: RedisExecutor;
  readonly namespace?: string;
  /** Events kept per tenant, for those who come back; Redis may keep some more. @defaultValue 1000 */
  readonly length?: number;
  /** How long the log of a tenant is kept after it was last used. @defaultValue "24h" */
  readonly keep?: Duration;
  readonly clock?: Clock;
  /** Numbers in [0, 1), for the epochs. @defaultValue Math.random */
  readonly random?: () => number;
}

/**
 * Keeps the log in Redis, so that every instance numbers, reads and hears the same events.
 *
 * A client may come back to any instance, also after the one it was on has died. Nothing connects before the first
 * use. Three keys per tenant in one slot (`<ns>:e:tenant:{<id>}:meta`, `:log`, `:seen`), one channel per tenant, one
 * index of the tenants. If Redis loses the log (`FLUSHALL`, eviction, expiry), the next one has another epoch and
 * every client is told of the gap.
 *
 * A failover of Redis may lose appends that were acknowledged. A process that made or heard them notices at its next
 * append and begins the log anew, which is a gap for every client. Nobody notices what only others append after.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if the executor cannot subscribe or an option is wrong.
 * @example
 * const hub = createHub({ log: createRedisLog({ redis: ioredisExecutor(new Redis(url)) }) });
 */
export function createRedisLog(options: RedisLogOptions): EventLog {
  assertKnownOptions('createRedisLog', options, ['redis', 'namespace', 'length', 'keep', 'clock', 'random']);
  const { redis, namespace = defaultNamespace, clock = systemClock, random = Math.random } = options;
  if (typeof redis?.script !== 'function' || !redis.capabilities.subscribe) {
    throw new ConfigurationError('createRedisLog: redis is an executor whose client can subscribe');
  }
  assertNamespace(namespace);
  const length = logLength(options.length);
  const keepMs = Math.ceil(durationMs(options.keep ?? '24h', 'keep'));
  if (keepMs < 1) throw new ConfigurationError('createRedisLog: keep is longer than 0');
  const index = `${globalPrefix(namespace, 'e')}tenants`;
  const following = createFollowing(redis);
  /** Where this process knows a log to have been, by tenant; the longest unused go first. */
  const reached = new Map<string, LogPosition>();

  function remember(tenant: string, position: LogPosition): void {
    reached.delete(tenant);
    reached.set(tenant, position);
    if (reached.size > maxReached) reached.delete(reached.keys().next().value as string);
  }

  /** What was heard may be lost before this process appends, as well as what it appended. */
  function heard(tenant: string, { epoch, first, records }: LogTail): void {
    const offset = first + records.length - 1;
    const known = reached.get(tenant);
    if (known?.epoch !== epoch || known.offset < offset) remember(tenant, { epoch, offset });
  }

  const prefixOf = (tenant: string): string => tenantPrefix(namespace, 'e', tenant);
  const keysOf = (prefix: string): string[] => [`${prefix}meta`, `${prefix}log`, `${prefix}seen`];

  /** Comes before any position is given away, so that the index never lacks a tenant somebody has a position of. */
  const touch = (tenant: string): Promise<unknown> => redis.command('ZADD', index, clock.now(), tenant);

  async function read(tenant: string, from: LogPosition | undefined, limit: number): Promise<ScriptRead> {
    const keys = keysOf(prefixOf(tenant));
    const reply = await redis.script(readScript, keys, [
      newEpoch(random),
      keepMs,
      from?.epoch ?? '',
      from?.offset ?? 0,
      limit,
    ]);
    const [epoch, offset, verdict, flat] = reply as [string, number, ScriptRead['verdict'], string[]];
    return { top: { epoch, offset: Number(offset) }, verdict, flat };
  }

  return {
    async append(tenant: string, records: readonly NewLogRecord[]): Promise<LogAppend> {
      const prefix = prefixOf(tenant);
      const known = reached.get(tenant);
      const args: (string | number)[] = [
        newEpoch(random),
        keepMs,
        length,
        `${prefix}live`,
        known?.epoch ?? '',
        known?.offset ?? 0,
      ];
      for (const { origin = '', type, body } of records) args.push(origin, type, body);
      const reply = await redis.script(appendScript, keysOf(prefix), args);
      const [epoch, offset, appended] = reply as [string, number, number];
      const position = { epoch, offset: Number(offset) };
      remember(tenant, position);
      return {
        position,
        appended: Number(appended),
        repeated: records.length - Number(appended),
      };
    },

    async readAfter(tenant: string, position: LogPosition, limit: number): Promise<LogRead> {
      const { top, verdict, flat } = await read(tenant, position, limit);
      if (verdict !== 'rows') return { state: 'gap', reason: verdict, top };
      return { state: 'rows', rows: numbered(pairs(flat), position.offset + 1), top };
    },

    async position(tenant: string): Promise<LogPosition> {
      const [, { top }] = await Promise.all([touch(tenant), read(tenant, undefined, 0)]);
      return top;
    },

    follow(tenant: string, follower: LogFollower): Promise<() => Promise<void>> {
      return following.add(`${prefixOf(tenant)}live`, {
        message: (text) => {
          const tail = parseTail(text);
          heard(tenant, tail);
          follower.appended(tail);
        },
        restored: () => follower.restored(),
      });
    },

    async *tenants(): AsyncIterable<readonly string[]> {
      const idleSince = clock.now() - keepMs;
      let cursor = '0';
      do {
        const reply = await redis.command('ZSCAN', index, cursor, 'COUNT', 256);
        const [next, flat] = reply as [string, string[]];
        const used: string[] = [];
        for (let i = 0; i + 1 < flat.length; i += 2) {
          const tenant = flat[i] as string;
          const usedAt = flat[i + 1] as string;
          if (
            Number(usedAt) < idleSince &&
            (await redis.command('EXISTS', `${prefixOf(tenant)}meta`)) === 0
          ) {
            await redis.script(forgetScript, [index], [tenant, usedAt]);
          } else {
            used.push(tenant);
          }
        }
        if (used.length > 0) yield used;
        cursor = String(next);
      } while (cursor !== '0');
    },

    close: () => following.close(),
  };
}

/** Tenants whose last place a process remembers. */
const maxReached = 10_000;

interface ScriptRead {
  readonly top: LogPosition;
  readonly verdict: 'rows' | 'epoch' | 'trimmed';
  readonly flat: readonly string[];
}

function parseTail(message: string): LogTail {
  const lines = message.split('\n');
  const [epoch = '', first] = (lines[0] as string).split(' ');
  return { epoch, first: Number(first), records: pairs(lines.slice(1)) };
}

function pairs(flat: readonly string[]): LogRecord[] {
  const records: LogRecord[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    records.push({ type: flat[i] as string, body: flat[i + 1] as string });
  }
  return records;
}

function numbered(records: readonly LogRecord[], first: number): NumberedRecord[] {
  return records.map((record, index) => ({ ...record, offset: first + index }));
}
