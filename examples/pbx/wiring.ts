import {
  type Cache,
  createCache,
  createChangePipeline,
  createMemoryLocks,
  type Duration,
  invalidateStage,
  type LockProvider,
  type SqlExecutor,
} from '@cachekit/core';
import { createListener, pgExecutor } from '@cachekit/core/postgres';
import { createRefresher, createViews, refreshSource } from '@cachekit/pg-matviews';
import { memoryStore, redisStore } from '@cachekit/ratelimit';
import { createHub, createMemoryLog, createRedisLog, type Hub, publishStage } from '@cachekit/realtime';
import { changeSource, installCapture } from '@cachekit/realtime/postgres';
import { createLocks, redisStats, redisTier } from '@cachekit/redis';
import { type RedisEnvironment, redisFromEnv } from '@cachekit/redis/env';
import pg from 'pg';
import { keepEndedCalls } from './call-history.ts';
import { events } from './events.ts';
import { tagsOf } from './keys.ts';
import { limitsIn, type PbxLimiter } from './limits.ts';
import { countCalls } from './live-counters.ts';
import { type Operations, operate } from './operations.ts';
import { announceDevices } from './presence.ts';
import { type Shared, shareBy, wakeUpOver } from './shared.ts';
import { nightly, views } from './views.ts';

/** The parts of the application that the server and the simulator use. */
export interface Switchboard {
  sql: SqlExecutor;
  cache: Cache;
  limiter: PbxLimiter;
  locks: LockProvider;
  hub: Hub;
  /** Absent without Redis. */
  shared: Shared | undefined;
  operations: Operations;
  close(): Promise<void>;
}

export interface WiringOptions {
  databaseUrl: string;
  /** Where Redis is: by `REDIS_URL`, or at Upstash. Where it says nothing, everything runs in this process alone. */
  redis?: RedisEnvironment | undefined;
  /** How long a read or a check waits for Redis before it goes on without. */
  redisTimeout?: Duration | undefined;
  /** How long a device stays online after it was last seen. */
  deviceTtl?: Duration | undefined;
  /** What went wrong in the background; the application goes on. */
  onTrouble: (part: string, error: unknown) => void;
}

/** The composition root: every part is made here and nowhere else. The tables exist already. */
export async function wire(options: WiringOptions): Promise<Switchboard> {
  const { databaseUrl, redisTimeout, deviceTtl, onTrouble } = options;
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: 20,
    idleTimeoutMillis: 30_000,
    connectionTimeoutMillis: 10_000,
  });
  const sql = pgExecutor(pool);
  const listener = createListener({
    connect: () => new pg.Client({ connectionString: databaseUrl, application_name: 'switchboard listener' }),
  });

  const redis = await redisFromEnv({
    env: options.redis ?? {},
    ...(redisTimeout !== undefined && { commandTimeout: redisTimeout }),
  });
  const cache = createCache(redis ? { remote: redisTier({ redis }) } : {});
  const limiter = limitsIn(redis ? redisStore({ redis }) : memoryStore(), redisTimeout);
  const redisLocks = redis && createLocks({ redis, wakeUp: wakeUpOver(redis) });
  // Where nobody can subscribe, what one server publishes is for its own listeners.
  const log = redis?.capabilities.subscribe ? createRedisLog({ redis }) : createMemoryLog();
  const hub = createHub({ log });
  const shared = redis && shareBy(redis, deviceTtl);
  const operations = operate({ cache, limiter, pool, redisStats: redis && redisStats(redis) });

  await createViews({ sql, views }).apply();
  await installCapture(sql, {
    tables: {
      users: { key: ['id'], tenant: 'id' },
      calls: { key: ['id'], tenant: 'user_id' },
      devices: { key: ['id'], tenant: 'user_id' },
      number_lists: { key: ['id'], tenant: 'user_id' },
    },
  });

  const refresher = createRefresher({ sql, listener, views, schedule: nightly });
  const pipeline = createChangePipeline({
    sources: [changeSource({ sql, listener }), refreshSource({ sql, listener })],
    stages: [
      invalidateStage(cache, tagsOf),
      ...(shared
        ? [
            countCalls(shared.counters, (error) => onTrouble('counters', error)),
            keepEndedCalls(shared.history, (error) => onTrouble('history', error)),
          ]
        : []),
      publishStage(hub, events.derive),
    ],
  });
  pipeline.on('stageFailed', ({ source, error }) => onTrouble(`pipeline ${source}`, error));
  if (shared) announceDevices(shared.presence, hub, (error) => onTrouble('presence', error));
  await pipeline.start();
  await refresher.start();

  return {
    sql,
    cache,
    limiter,
    locks: redisLocks ?? createMemoryLocks(),
    hub,
    shared,
    operations,
    async close() {
      operations.alerts.stop();
      await refresher.stop();
      await pipeline.stop();
      await shared?.presence.close();
      await shared?.pairing.close();
      await redisLocks?.close();
      await hub.close();
      await log.close();
      await cache.close();
      await redis?.close();
      await listener.close();
      await pool.end();
    },
  };
}
