import type { PoolPressure } from '@cachekit/core/postgres';
import type { CacheReport } from '../api.ts';
import { formatPercent } from '../format.ts';
import { Card } from './card.tsx';

interface ServersProps {
  metrics: CacheReport | undefined;
  pool: PoolPressure | undefined;
}

/** How much Redis uses, and how busy the connections to PostgreSQL are. */
export function Servers({ metrics, pool }: ServersProps) {
  const redis = metrics?.redis;
  return (
    <Card title="Servers" hint="Redis and PostgreSQL">
      <dl className="facts" data-testid="servers">
        <dt>Redis</dt>
        <dd>
          {metrics === undefined
            ? '…'
            : redis === undefined
              ? 'off'
              : redis === null
                ? 'does not answer'
                : 'up'}
        </dd>
        {redis && (
          <>
            <dt>Memory</dt>
            <dd>
              {redis.memory.usedMemoryHuman}
              {redis.memory.memoryUsagePercent !== null &&
                `, ${formatPercent(redis.memory.memoryUsagePercent)} of what it may`}
            </dd>
            <dt>Clients</dt>
            <dd>{redis.stats.connectedClients}</dd>
            <dt>Key look-ups that hit</dt>
            <dd>{formatPercent(redis.stats.hitRate)}</dd>
          </>
        )}
        {pool && (
          <>
            <dt>PostgreSQL connections in use</dt>
            <dd>
              {pool.used} of {pool.max}
            </dd>
            <dt>Waiting for one</dt>
            <dd>{pool.waiting}</dd>
          </>
        )}
      </dl>
    </Card>
  );
}
