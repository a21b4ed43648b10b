import {
  type Alert,
  type Alerts,
  type Cache,
  createAlerts,
  type RedisStatsSource,
  type TtlAdvice,
  ttlAdvice,
} from '@cachekit/core';
import { type PoolGaugesLike, type PoolPressure, poolPressure } from '@cachekit/core/postgres';
import type { PolicyMetrics } from '@cachekit/ratelimit';
import type { PbxLimiter } from './limits.ts';

/** What went wrong or was right again. */
export interface AlertNotice extends Pick<Alert, 'kind' | 'value' | 'threshold'> {
  type: 'raised' | 'cleared';
  at: number;
}

/** What the people who run the application look at. */
export interface OperationsReport {
  /** What is not as it should be. */
  alerts: readonly Alert[];
  /** The last alerts, the newest first. */
  notices: readonly AlertNotice[];
  pool: PoolPressure;
  limits: Readonly<Record<string, PolicyMetrics>>;
  /** Which `ttl` each resource needs for 70 hits of 100 requests. */
  advice: readonly TtlAdvice[];
}

export interface Operations {
  alerts: Alerts;
  /** Asks Redis of its memory and clients; absent without Redis. */
  redisStats: RedisStatsSource | undefined;
  report(): OperationsReport;
}

export interface OperationsParts {
  cache: Cache;
  limiter: PbxLimiter;
  pool: PoolGaugesLike;
  redisStats: RedisStatsSource | undefined;
}

const keptNotices = 8;

/** Watches the cache, Redis and the pool, and remembers what there was to be said. */
export function operate({ cache, limiter, pool, redisStats }: OperationsParts): Operations {
  const alerts = createAlerts({
    cache,
    pool: () => poolPressure(pool),
    every: '10s',
    ...(redisStats && { redis: redisStats }),
  });
  const notices: AlertNotice[] = [];
  const note = (type: AlertNotice['type'], { kind, value, threshold }: Alert): void => {
    notices.unshift({ type, kind, value, threshold, at: Date.now() });
    notices.length = Math.min(notices.length, keptNotices);
  };
  alerts.on('raised', (alert) => note('raised', alert));
  alerts.on('cleared', (alert) => note('cleared', alert));
  alerts.start();
  return {
    alerts,
    redisStats,
    report: () => ({
      alerts: alerts.active,
      notices,
      pool: poolPressure(pool),
      limits: limiter.metrics().policies,
      advice: ttlAdvice(cache.metrics(), { now: Date.now() }),
    }),
  };
}
