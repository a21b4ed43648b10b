import { formatMs } from '../format.ts';
import { useLive } from '../live.tsx';
import { Card } from './card.tsx';

/** The way of the newest change, link by link, measured from the write in PostgreSQL to this screen. */
export function JourneyCard() {
  const { journey } = useLive();
  return (
    <Card title="Way of the last change" hint="since the write">
      {journey ? (
        <ol className="journey">
          <Step name="Row written to PostgreSQL" ms={0} />
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

function Step({ name, ms }: { name: string; ms: number | undefined }) {
  return (
    <li>
      {name}
      <b>{ms === undefined ? '…' : formatMs(ms)}</b>
    </li>
  );
}
