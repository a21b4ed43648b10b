import { useEffect, useState } from 'react';
import type { PairedDevice } from '../api.ts';
import { send } from '../send.ts';

const everyMs = 10_000;
/** The first heartbeat may come before the account knows of its new device. */
const againMs = 500;

/** Says every few seconds that the device is here, for as long as it is on, and goodbye when its tab is closed. */
export function useHeartbeat({ account, deviceId }: PairedDevice, on: boolean): boolean {
  const [seen, setSeen] = useState(false);

  useEffect(() => {
    if (!on) return;
    const path = `/api/devices/${deviceId}/presence`;
    let timer: ReturnType<typeof setTimeout>;
    let over = false;
    const beat = async (): Promise<void> => {
      const { status } = await send('PUT', path, account);
      if (over) return;
      setSeen(status === 200);
      timer = setTimeout(() => void beat(), status === 200 ? everyMs : againMs);
    };
    const leave = (): void => {
      // The tab may be gone before the answer comes.
      void fetch(path, { method: 'DELETE', keepalive: true, headers: { 'X-Account-Id': account } }).catch(
        () => {},
      );
    };
    void beat();
    addEventListener('pagehide', leave);
    return () => {
      over = true;
      clearTimeout(timer);
      removeEventListener('pagehide', leave);
      setSeen(false);
      leave();
    };
  }, [account, deviceId, on]);

  return seen;
}
