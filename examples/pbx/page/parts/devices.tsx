import { useState } from 'react';
import type { Device, DevicePerformance, DevicesOnline } from '../api.ts';
import { useApi } from '../use-api.ts';
import { useShared } from '../use-parts.ts';
import { Comings } from './comings.tsx';
import { DeviceBoard } from './device-board.tsx';
import { DeviceCommands } from './device-commands.tsx';
import { PairDevice } from './pair-device.tsx';

/** A device that drops out while Redis could not be asked is noticed at the next look. */
const lookEveryMs = 15_000;

/** Who is online, who came and went, how one more device joins, and what is sent to one. */
export function Devices() {
  const shared = useShared();
  const { data } = useApi<DevicesOnline>('presence', '/api/presence', {
    everyMs: lookEveryMs,
    enabled: shared === true,
  });
  const [chosen, setChosen] = useState<string>();
  const devices = data?.body.devices ?? [];
  const busiest = useBusiestDevice();
  const device =
    devices.find(({ id }) => id === chosen) ?? devices.findLast(({ online }) => online) ?? busiest;
  return (
    <div className="grid">
      <div className="column">
        <DeviceBoard answer={data} off={shared === false} chosen={device?.id} onChoose={setChosen} />
        <DeviceCommands device={device} />
      </div>
      <div className="column">
        <PairDevice off={shared === false} />
        <Comings devices={devices} off={shared === false} />
      </div>
    </div>
  );
}

/** The device to send commands to while nobody knows who is online: they work without Redis. */
function useBusiestDevice(): Device | undefined {
  const { data } = useApi<{ devices: DevicePerformance[] }>('devices', '/api/devices');
  const [first] = data?.body.devices ?? [];
  return first && { id: first.deviceId, name: first.name };
}
