import { useEffect } from 'react';
import type { RecentCall } from '../api.ts';
import { formatDuration, formatTime } from '../format.ts';
import { useLive } from '../live.tsx';
import { useApi } from '../use-api.ts';
import { Card } from './card.tsx';

export function CallList() {
  const { data } = useApi<{ calls: RecentCall[] }>('calls', '/api/calls?limit=10');
  const { journey, drawn } = useLive();
  const calls = data?.body.calls ?? [];

  useEffect(() => {
    if (!data) return;
    // After the frame that draws them: that is when a person sees them.
    const frame = requestAnimationFrame(() =>
      drawn(
        data.body.calls.map(({ id }) => id),
        data.cache,
        data.receivedAt,
      ),
    );
    return () => cancelAnimationFrame(frame);
  }, [data, drawn]);

  return (
    <Card title="Live calls" hint="newest first" answer={data}>
      {data && calls.length === 0 && <p className="empty">No call yet.</p>}
      <ul className="calls" data-testid="calls">
        {calls.map((call) => (
          <li key={call.id} data-new={journey?.callId === call.id} data-call={call.id}>
            <i className="dot" data-status={call.status} />
            <div>
              <b>{call.phoneNumber}</b> <span>{call.status}</span>
              <span className="who">
                {call.deviceName ?? 'no device'} · {call.campaignName ?? 'no campaign'}
              </span>
            </div>
            <div className="when">
              <time dateTime={call.startTime}>{formatTime(call.startTime)}</time>
              <br />
              <span>{formatDuration(call.durationSeconds)}</span>
            </div>
          </li>
        ))}
      </ul>
    </Card>
  );
}
