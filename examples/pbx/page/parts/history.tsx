import type { EndedCall } from '../api.ts';
import { formatDuration, formatTime } from '../format.ts';
import { useApi } from '../use-api.ts';
import { useShared } from '../use-parts.ts';
import { Card } from './card.tsx';

/** The calls that ended last, from a list in Redis. */
export function History() {
  const shared = useShared();
  const { data } = useApi<{ calls: EndedCall[] }>('history', '/api/history', { enabled: shared === true });
  const calls = data?.body.calls ?? [];
  return (
    <Card title="Just ended" hint="a list in Redis" answer={data} off={shared === false}>
      {data && calls.length === 0 && <p className="empty">No call has ended since the start.</p>}
      <ul className="lines" data-testid="history">
        {calls.map(({ id, phoneNumber, status, durationSeconds, at }) => (
          <li key={id}>
            <i className="dot" data-status={status} />
            <span className="grow">{phoneNumber}</span>
            <span className="soft">{status === 'failed' ? 'failed' : formatDuration(durationSeconds)}</span>
            <time dateTime={at}>{formatTime(at)}</time>
          </li>
        ))}
      </ul>
    </Card>
  );
}
