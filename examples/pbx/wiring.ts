import {
  type Cache,
  createCache,
  createChangePipeline,
  invalidateStage,
  type SqlExecutor,
} from '@cachekit/core';
import { createListener, pgExecutor } from '@cachekit/core/postgres';
import { createRefresher, createViews, refreshSource } from '@cachekit/pg-matviews';
import {
  createRateLimiter,
  fixedWindow,
  gcra,
  memoryStore,
  type RateLimiter,
  redisStore,
} from '@cachekit/ratelimit';
import { createHub, createMemoryLog, createRedisLog, type Hub, publishStage } from '@cachekit/realtime';
import { changeSource, installCapture } from '@cachekit/realtime/postgres';
import { ioredisExecutor, redisTier } from '@cachekit/redis';
import { Redis } from 'ioredis';
import pg from 'pg';
import { events } from './events.ts';
import { tagsOf } from './keys.ts';
import { type OnlineDevices, onlineDevices } from './presence.ts';
import { views } from './views.ts';

/** The parts of the application that the server and the simulator use. */
export interface Switchboard {
  sql: SqlExecutor;
  cache: Cache;
  limiter: RateLimiter<'api' | 'commands'>;
  hub: Hub;
  presence: OnlineDevices;
  close(): Promise<void>;
}

export interface WiringOptions {
  databaseUrl: string;
  /** Without one everything runs in this process alone. */
  redisUrl?: string | undefined;
  /** What went wrong in the background; the application goes on. */
  onTrouble: (part: string, error: unknown) => void;
}

/** The composition root: every part is made here and nowhere else. The tables exist already. */
export async function wire({ databaseUrl, redisUrl, onTrouble }: WiringOptions): Promise<Switchboard> {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: 20,
    idleTimeoutMillis: 30_000,
    connectionTimeoutMillis: 10_000,
  });
  const sql = pgExecutor(pool);
  const listener = createListener({ connect: () => new pg.Client({ connectionString: databaseUrl }) });

  const client = redisUrl === undefined ? undefined : new Redis(redisUrl, { lazyConnect: true });
  client?.on('error', (error) => onTrouble('redis', error));
  const redis = client && ioredisExecutor(client);

  const cache = createCache(redis ? { remote: redisTier({ redis }) } : {});
  const limiter = createRateLimiter({
    policies: {
      api: gcra({ limit: 1_200, window: '1m' }),
      commands: fixedWindow({ limit: 10, window: '60s' }),
    },
    store: redis ? redisStore({ redis }) : memoryStore(),
  });
  const log = redis ? createRedisLog({ redis }) : createMemoryLog();
  const hub = createHub({ log });

  await createViews({ sql, views }).apply();
  await installCapture(sql, {
    tables: {
      calls: { key: ['id'], tenant: 'user_id' },
      devices: { key: ['id'], tenant: 'user_id' },
      number_lists: { key: ['id'], tenant: 'user_id' },
    },
  });

  const refresher = createRefresher({ sql, listener, views });
  const pipeline = createChangePipeline({
    sources: [changeSource({ sql, listener }), refreshSource({ sql, listener })],
    stages: [invalidateStage(cache, tagsOf), publishStage(hub, events.derive)],
  });
  pipeline.on('stageFailed', ({ source, error }) => onTrouble(`pipeline ${source}`, error));
  await pipeline.start();
  await refresher.start();

  return {
    sql,
    cache,
    limiter,
    hub,
    presence: onlineDevices(redis),
    async close() {
      await refresher.stop();
      await pipeline.stop();
      await hub.close();
      await log.close();
      await cache.close();
      await redis?.close();
      client?.disconnect();
      await listener.close();
      await pool.end();
    },
  };
}
