import type { LiveCount } from '../api.ts';
import { formatCount } from '../format.ts';
import { useApi } from '../use-api.ts';
import { useShared } from '../use-parts.ts';
import { Card } from './card.tsx';
import { Sparkline } from './sparkline.tsx';

/** The window moves on although nothing happens. */
const stepMs = 10_000;

/** Counters that move with each commit, before any view is refreshed. */
export function LiveCounters() {
  const shared = useShared();
  const { data } = useApi<{ counters: LiveCount[] }>('counters', '/api/counters', {
    everyMs: stepMs,
    enabled: shared === true,
  });
  return (
    <Card title="Last ten minutes" hint="counted as calls are committed" answer={data} off={shared === false}>
      <dl className="counters">
        {(data?.body.counters ?? []).map(({ name, total, series }) => (
          <div key={name} data-counter={name}>
            <dt>{name}</dt>
            <dd>{formatCount(total)}</dd>
            <Sparkline series={series} label={`Calls ${name}, each ten seconds`} />
          </div>
        ))}
      </dl>
    </Card>
  );
}
