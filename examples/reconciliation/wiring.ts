import { type Cache, createCache, type Duration, jsonCodec, type SqlExecutor } from '@cachekit/core';
import { pgExecutor } from '@cachekit/core/postgres';
import { createRefresher, type Refresher } from '@cachekit/pg-matviews';
import { createHub, createMemoryLog, createRedisLog, type Hub } from '@cachekit/realtime';
import { redisTier } from '@cachekit/redis';
import { type RedisEnvironment, redisFromEnv } from '@cachekit/redis/env';
import { type Background, createBackground } from './background.ts';
import type { BankAggregator } from './doubles/bank.ts';
import type { CustomerSystem } from './doubles/customers.ts';
import { encrypted } from './encrypted.ts';
import { poolOf } from './pool.ts';
import { toldSql } from './told-sql.ts';
import { views } from './views.ts';

/** The parts of the application that its routes use. */
export interface Desk {
  sql: SqlExecutor;
  cache: Cache;
  refresher: Refresher;
  hub: Hub;
  background: Background;
  bank: BankAggregator;
  customers: CustomerSystem;
  webhookSecret: string;
  close(): Promise<void>;
}

export interface WiringOptions {
  databaseUrl: string;
  /** Where Redis is: by `REDIS_URL`, or at Upstash. Where it says nothing, the memory of this process is the cache. */
  env: RedisEnvironment;
  /** How long a read waits for Redis before it goes on without. */
  redisTimeout?: Duration | undefined;
  bank: BankAggregator;
  customers: CustomerSystem;
  /** With this the aggregator signs its webhooks. */
  webhookSecret: string;
  /** 32 bytes, to encrypt what is cached. */
  cacheSecret?: Buffer | undefined;
  /** Is told of every statement that is sent to PostgreSQL. */
  onStatement?: (statement: string) => void;
  /** What went wrong in the background; the application goes on. */
  onTrouble: (part: string, error: unknown) => void;
}

/** The composition root: every part is made here and nowhere else. Nothing connects before it is used. */
export async function wire(options: WiringOptions): Promise<Desk> {
  const { databaseUrl, env, redisTimeout, bank, customers, webhookSecret, cacheSecret, onTrouble } = options;
  const sql = toldSql(pgExecutor(poolOf(databaseUrl)), options.onStatement ?? (() => {}));
  const redis = await redisFromEnv({
    env,
    ...(redisTimeout !== undefined && { commandTimeout: redisTimeout }),
  });
  const cache = createCache({
    ...(redis && { remote: redisTier({ redis }) }),
    codec: cacheSecret ? encrypted(cacheSecret) : jsonCodec,
    // A sync is no failure because Redis is down: what could not be dropped is dropped when it is back.
    onUnreached: 'repair',
  });
  // Where nobody can subscribe, what one server publishes is for its own listeners.
  const log = redis?.capabilities.subscribe ? createRedisLog({ redis }) : createMemoryLog();
  const hub = createHub({ log });
  const background = createBackground(onTrouble);

  return {
    sql,
    cache,
    refresher: createRefresher({ sql, views }),
    hub,
    background,
    bank,
    customers,
    webhookSecret,
    async close() {
      await background.idle();
      await hub.close({ spread: 0 });
      await log.close();
      await cache.close();
      await redis?.close();
    },
  };
}
