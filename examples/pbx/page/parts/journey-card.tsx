import { formatMs, formatTime } from '../format.ts';
import { useLive } from '../live.tsx';
import { Card } from './card.tsx';

/** The way of the newest change, link by link, measured from the write in PostgreSQL to this screen. */
export function JourneyCard() {
  const { journey } = useLive();
  return (
    <Card title="Way of the last change" hint="since the write">
      {journey ? (
        <ol className="journey">
          <Step
            name="Row written to PostgreSQL"
            value={formatTime(new Date(journey.writtenAt).toISOString())}
          />
          <Step name="Event in this browser" ms={journey.eventMs} />
          <Step name={`Refetched, server said ${journey.cache || '…'}`} ms={journey.answerMs} />
          <Step name="On screen" ms={journey.screenMs} />
          <Step name="Statistics view refreshed" ms={journey.viewMs} />
        </ol>
      ) : (
        <p className="empty">The next call that changes will show here.</p>
      )}
    </Card>
  );
}

function Step({ name, ms, value }: { name: string; ms?: number | undefined; value?: string }) {
  return (
    <li>
      {name}
      <b>{value ?? (ms === undefined ? '…' : `+${formatMs(ms)}`)}</b>
    </li>
  );
}
