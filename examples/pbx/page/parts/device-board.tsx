import { useState } from 'react';
import type { DevicesOnline } from '../api.ts';
import { formatCount } from '../format.ts';
import type { Answer } from '../use-api.ts';
import { Card } from './card.tsx';

interface DeviceBoardProps {
  answer: Answer<DevicesOnline> | undefined;
  off: boolean;
  chosen: string | undefined;
  onChoose: (deviceId: string) => void;
}

/** How many are shown until somebody asks for all. */
const shownDevices = 16;

/** The devices of the account: those online first, and of these the newest. */
export function DeviceBoard({ answer, off, chosen, onChoose }: DeviceBoardProps) {
  const { devices = [], online = null } = answer?.body ?? {};
  const [all, setAll] = useState(false);
  const sorted = devices.toSorted(
    (a, b) => Number(b.online) - Number(a.online) || Number(b.id) - Number(a.id),
  );
  const shown = all ? sorted : sorted.slice(0, shownDevices);
  const hint = online === null ? '' : `${formatCount(online)} of ${formatCount(devices.length)} online`;
  return (
    <Card title="Devices" hint={hint} answer={answer} off={off}>
      {answer && online === null && (
        <p className="empty">Redis does not answer: nobody knows who is online.</p>
      )}
      <ul className="board" data-testid="devices">
        {shown.map(({ id, name, online }) => (
          <li key={id}>
            <button
              type="button"
              data-device={id}
              data-online={online}
              aria-pressed={id === chosen}
              title={online ? 'online' : 'away'}
              onClick={() => onChoose(id)}
            >
              <i />
              {name}
            </button>
          </li>
        ))}
      </ul>
      {sorted.length > shownDevices && (
        <button type="button" className="button quiet small" onClick={() => setAll(!all)}>
          {all ? 'Show fewer' : `Show all ${sorted.length}`}
        </button>
      )}
    </Card>
  );
}
