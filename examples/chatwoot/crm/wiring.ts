import {
  type Alerts,
  type AlertThresholds,
  type Cache,
  createAlerts,
  createCache,
  createChangePipeline,
  type Duration,
  invalidateStage,
  type Stage,
  type TierClock,
  type WarmProgress,
} from '@cachekit/core';
import { metricsHandler } from '@cachekit/core/http';
import { createListener, pgExecutor, poolPressure } from '@cachekit/core/postgres';
import { changeSource, installCapture } from '@cachekit/realtime/postgres';
import { ioredisExecutor, redisStats, redisTier } from '@cachekit/redis';
import { Redis } from 'ioredis';
import pg from 'pg';
import { type CountedRedis, type CountedSql, countedRedis, countedSql } from './counted.ts';
import { type ImportRow, type JudgedRow, validateImport } from './import.ts';
import { captured, tagsOf } from './keys.ts';
import { preloadContacts } from './preload.ts';
import { type CrmReads, cachedReads } from './reads.ts';
import { type ToolResults, toolResults } from './tool-results.ts';

/** One instance of the CRM. */
export interface Crm {
  readonly cache: Cache;
  readonly reads: CrmReads;
  readonly tools: ToolResults;
  preload(
    company: string,
    count: number,
    onProgress?: (progress: WarmProgress) => void,
  ): Promise<WarmProgress>;
  validate(company: string, rows: readonly ImportRow[]): Promise<readonly JudgedRow[]>;
  /** `GET` and `DELETE /api/v1/cache/metrics`. */
  metrics(request: Request): Promise<Response>;
  readonly alerts: Alerts;
  /** What the reads asked PostgreSQL, what following its changes did, and what was asked of Redis. */
  readonly asked: { readonly sql: CountedSql; readonly changes: CountedSql; readonly redis: CountedRedis };
  close(): Promise<void>;
}

/** A message that is in the database, and that every history in a cache has from now on. */
interface HeardMessage {
  readonly id: number;
  readonly company: string;
  readonly chat: number;
  /** What is read with it as `since` has the message in every instance. */
  readonly since: TierClock | undefined;
}

export interface WiringOptions {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  /** Called in one instance of all for each new message, whoever wrote it: the assistant answers from here. */
  readonly onMessage?: (message: HeardMessage) => void;
  readonly thresholds?: AlertThresholds;
  /** How long a call of Redis may take; what is not answered then is loaded, and not stored. */
  readonly commandTimeout?: Duration;
  /** What went wrong in the background; it is tried again. */
  readonly onTrouble?: (part: string, error: unknown) => void;
}

/** The composition root: every part is made here and nowhere else. The tables exist already. */
export async function wire(options: WiringOptions): Promise<Crm> {
  const { databaseUrl, redisUrl, onMessage, thresholds, commandTimeout = '250ms', onTrouble } = options;
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: 20,
    idleTimeoutMillis: 30_000,
    connectionTimeoutMillis: 10_000,
  });
  const sql = countedSql(pgExecutor(pool));
  const changes = countedSql(pgExecutor(pool));
  const redis = countedRedis(ioredisExecutor(new Redis(redisUrl, { lazyConnect: true }), { commandTimeout }));
  // Messages are answered also while Redis is down; the price is told in the README.
  const cache = createCache({ remote: redisTier({ redis }), onUnreached: 'repair' });
  const alerts = createAlerts({
    cache,
    redis: redisStats(redis),
    pool: () => poolPressure(pool),
    ...(thresholds && { thresholds }),
  });

  await installCapture(changes, { tables: captured });
  const listener = createListener({ connect: () => new pg.Client({ connectionString: databaseUrl }) });
  const pipeline = createChangePipeline({
    sources: [changeSource({ sql: changes, listener, name: 'crm' })],
    stages: [invalidateStage(cache, tagsOf), ...(onMessage ? [announce(onMessage)] : [])],
  });
  pipeline.on('stageFailed', ({ error }) => onTrouble?.('pipeline', error));
  await pipeline.start();
  alerts.start();

  return {
    cache,
    reads: cachedReads(cache, sql),
    tools: toolResults(redis),
    preload: (company, count, onProgress) => preloadContacts(cache, sql, company, count, onProgress),
    validate: (company, rows) => validateImport(cache, sql, company, rows),
    metrics: metricsHandler(cache, { redis: redisStats(redis) }),
    alerts,
    asked: { sql, changes, redis },
    async close() {
      alerts.stop();
      await pipeline.stop();
      await cache.close();
      await redis.close();
      await listener.close();
      await pool.end();
    },
  };
}

/** The stage behind the invalidation: who hears of a message here reads no history without it. */
function announce(onMessage: (message: HeardMessage) => void): Stage {
  return async (batch, { clock }) => {
    for (const { table, operation, tenant, key, new: row } of batch) {
      if (table !== 'messages' || operation !== 'insert' || tenant === undefined) continue;
      onMessage({ id: Number(key.id), company: tenant, chat: Number(row?.conversation_id), since: clock });
    }
  };
}
