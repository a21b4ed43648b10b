import type { Device } from '../api.ts';
import { formatTime } from '../format.ts';
import { type Coming, useLive } from '../live.tsx';
import { Card } from './card.tsx';

const reasons = {
  leave: 'switched off',
  timeout: 'not seen for too long',
  'server-down': 'its server is gone',
} satisfies Record<NonNullable<Coming['reason']>, string>;

/** Devices as they come and go, announced once whatever the number of servers. */
export function Comings({ devices, off }: { devices: readonly Device[]; off: boolean }) {
  const { comings } = useLive();
  const nameOf = (deviceId: string): string =>
    devices.find(({ id }) => id === deviceId)?.name ?? `Device ${deviceId}`;
  return (
    <Card title="Comings and goings" hint="since you are here" off={off}>
      {comings.length === 0 && <p className="empty">The next device that comes or goes will show here.</p>}
      <ul className="lines" data-testid="comings">
        {comings.map(({ id, deviceId, at, reason }) => (
          <li key={id} data-came={reason === undefined}>
            <i className="dot" data-status={reason === undefined ? 'answered' : 'away'} />
            <span className="grow">{nameOf(deviceId)}</span>
            <span className="soft">{reason === undefined ? 'online' : reasons[reason]}</span>
            <time dateTime={new Date(at).toISOString()}>{formatTime(new Date(at).toISOString())}</time>
          </li>
        ))}
      </ul>
    </Card>
  );
}
