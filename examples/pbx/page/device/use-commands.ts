import { createRealtimeClient } from '@cachekit/realtime/client';
import { useEffect, useState } from 'react';
import type { PbxEvents } from '../../events.ts';
import type { PairedDevice } from '../api.ts';

type Command = PbxEvents['device.command'];

const keptCommands = 5;

/** The commands that reach the device while it is on, the last first. One that a later one has overtaken is ignored. */
export function useCommands({ account, deviceId }: PairedDevice, on: boolean): readonly Command[] {
  const [commands, setCommands] = useState<readonly Command[]>([]);

  useEffect(() => {
    if (!on) return;
    const client = createRealtimeClient<PbxEvents>({
      url: new URL('/api/events', location.href).href,
      headers: { 'X-Account-Id': account },
    });
    client.on('device.command', (command) => {
      if (command.deviceId !== deviceId) return;
      setCommands((kept) => {
        const last = kept[0]?.fencingToken ?? 0;
        return command.fencingToken <= last ? kept : [command, ...kept].slice(0, keptCommands);
      });
    });
    client.connect();
    return () => client.close();
  }, [account, deviceId, on]);

  return commands;
}
