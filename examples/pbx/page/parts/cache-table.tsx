import type { TtlAdvice } from '@cachekit/core';
import { useQueryClient } from '@tanstack/react-query';
import type { CacheReport } from '../api.ts';
import { formatCount, formatPercent, formatTtl } from '../format.ts';
import { useLive } from '../live.tsx';
import type { Answer } from '../use-api.ts';
import { Card } from './card.tsx';

interface CacheTableProps {
  metrics: Answer<CacheReport> | undefined;
  advice: readonly TtlAdvice[];
}

/** Hits and misses of each resource, and the ttl it would need for 70 hits of 100. */
export function CacheTable({ metrics, advice }: CacheTableProps) {
  const { account } = useLive();
  const queryClient = useQueryClient();
  const resources = Object.entries(metrics?.body.cache ?? {});

  const reset = async (): Promise<void> => {
    await fetch('/api/v1/cache/metrics', { method: 'DELETE' });
    await queryClient.invalidateQueries({ queryKey: [account, 'cache'] });
  };

  return (
    <Card title="Cache" hint="every read goes through it">
      <table data-testid="cache">
        <thead>
          <tr>
            <th>Resource</th>
            <th className="hide-narrow">Hit rate</th>
            <th className="number">Rate</th>
            <th className="number">Reads</th>
            <th className="number hide-narrow">ttl</th>
            <th className="number hide-narrow">Advised</th>
          </tr>
        </thead>
        <tbody>
          {resources.map(([name, { hitRate, totalRequests, ttlMs }]) => (
            <tr key={name} className={name === 'overall' ? 'sum' : ''}>
              <td className="name">{name}</td>
              <td className="hide-narrow">
                <div className="meter">
                  <i className="fill" style={{ width: `${hitRate}%` }} />
                </div>
              </td>
              <td className="number">{totalRequests === 0 ? '–' : formatPercent(hitRate)}</td>
              <td className="number">{formatCount(totalRequests)}</td>
              <td className="number hide-narrow">{ttlMs === undefined ? '' : formatTtl(ttlMs)}</td>
              <td className="number hide-narrow">{advised(advice, name)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <button type="button" className="button quiet small" onClick={() => void reset()}>
        Count anew
      </button>
    </Card>
  );
}

function advised(advice: readonly TtlAdvice[], resource: string): string {
  const found = advice.find((one) => one.resource === resource);
  return found ? formatTtl(found.advisedTtlMs) : '';
}
