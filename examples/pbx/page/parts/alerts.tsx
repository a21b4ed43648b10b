import type { Alert, AlertKind } from '@cachekit/core';
import type { AlertNotice } from '../../operations.ts';
import { formatTime } from '../format.ts';
import { Card } from './card.tsx';

const words: Record<AlertKind, (value: number) => string> = {
  'hit-rate': (value) => `Hit rate ${value} %`,
  'redis-memory': (value) => `Redis memory ${value} %`,
  'pool-exhausted': (value) => `${value} wait for PostgreSQL`,
  'slow-load': (value) => `A load took ${(value / 1_000).toFixed(1)} s`,
};

interface AlertsProps {
  alerts: readonly Alert[];
  notices: readonly AlertNotice[];
}

/** What is not as it should be now, and what was lately. */
export function Alerts({ alerts, notices }: AlertsProps) {
  return (
    <Card title="Alerts" hint="looked at every ten seconds">
      {alerts.length === 0 ? (
        <p className="fine" data-testid="alerts">
          <i className="dot" data-status="answered" /> Everything is as it should be
        </p>
      ) : (
        <ul className="lines" data-testid="alerts">
          {alerts.map(({ kind, value, threshold }) => (
            <li key={kind} className="alarm">
              <i className="dot" data-status="failed" />
              <span className="grow">{words[kind](value)}</span>
              <span className="soft">allowed {threshold}</span>
            </li>
          ))}
        </ul>
      )}
      {notices.length > 0 && (
        <ul className="lines">
          {notices.slice(0, 4).map(({ type, kind, value, at }) => (
            <li key={`${kind} ${at}`}>
              <span className="grow soft">
                {words[kind](value)}: {type}
              </span>
              <time>{formatTime(new Date(at).toISOString())}</time>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}
