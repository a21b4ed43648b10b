import type { CacheReport, DevicesOnline, StatisticsDay } from '../api.ts';
import { formatCount, formatDuration, formatMs, formatPercent } from '../format.ts';
import { useLive } from '../live.tsx';
import { useApi } from '../use-api.ts';
import { useShared } from '../use-parts.ts';

export function Tiles() {
  const statistics = useApi<{ days: StatisticsDay[] }>('statistics', '/api/statistics').data?.body.days;
  const shared = useShared();
  const presence = useApi<DevicesOnline>('presence', '/api/presence', { enabled: shared === true }).data
    ?.body;
  const metrics = useApi<CacheReport>('cache', '/api/v1/cache/metrics').data?.body.cache.overall;
  const { latencies } = useLive();

  const today = statistics?.at(-1);
  const answered = today ? today.answeredCalls + today.completedCalls : 0;
  const sorted = latencies.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)];

  return (
    <dl className="tiles">
      <Tile
        name="Calls today"
        value={today ? formatCount(today.totalCalls) : '–'}
        note={yesterdayNote(statistics)}
      />
      <Tile
        name="Answered today"
        value={today && today.totalCalls > 0 ? formatPercent((100 * answered) / today.totalCalls) : '–'}
        note={today ? `${formatCount(answered)} of ${formatCount(today.totalCalls)}` : ''}
      />
      <Tile
        name="Average duration"
        value={formatDuration(today?.averageDurationSeconds ?? null)}
        note="today"
      />
      <Tile
        name="Devices online"
        value={presence?.online == null ? '–' : formatCount(presence.online)}
        note={
          shared === false ? 'off: needs Redis' : presence ? `of ${formatCount(presence.devices.length)}` : ''
        }
        id="online"
      />
      <Tile
        name="Cache hit rate"
        value={metrics ? formatPercent(metrics.hitRate) : '–'}
        note={metrics ? `${formatCount(metrics.totalRequests)} reads` : ''}
      />
      <Tile
        name="Write to screen"
        value={median === undefined ? '–' : formatMs(median)}
        note={median === undefined ? 'waiting for a call' : `median of the last ${sorted.length}`}
        id="latency"
      />
    </dl>
  );
}

function yesterdayNote(days: readonly StatisticsDay[] | undefined): string {
  const yesterday = days?.at(-2);
  return yesterday ? `${formatCount(yesterday.totalCalls)} yesterday` : '';
}

function Tile({ name, value, note, id }: { name: string; value: string; note: string; id?: string }) {
  return (
    <div className="tile" data-testid={id}>
      <dt>{name}</dt>
      <dd>{value}</dd>
      <small>{note || '\u00a0'}</small>
    </div>
  );
}
