import { useEffect, useRef, useState } from 'react';
import type { PairedDevice } from '../api.ts';
import { send } from '../send.ts';

const everyMs = 10_000;
/** The first heartbeat may come before the account knows of its new device. */
const againMs = 500;

/** Says every few seconds that the device is here, for as long as it is on, and goodbye when its tab is closed. */
export function useHeartbeat({ account, deviceId }: PairedDevice, on: boolean): boolean {
  const [seen, setSeen] = useState(false);
  // One after another, or a goodbye that is overtaken would end what came after it.
  const said = useRef<Promise<unknown>>(Promise.resolve());

  useEffect(() => {
    if (!on) return;
    const path = `/api/devices/${deviceId}/presence`;
    let timer: ReturnType<typeof setTimeout>;
    let over = false;
    const beat = async (): Promise<void> => {
      const answer = said.current.then(() => (over ? undefined : send('PUT', path, account)));
      said.current = answer;
      const status = (await answer)?.status;
      if (over) return;
      setSeen(status === 200);
      timer = setTimeout(() => void beat(), status === 200 ? everyMs : againMs);
    };
    const leave = (): Promise<unknown> =>
      // The tab may be gone before the answer comes.
      fetch(path, { method: 'DELETE', keepalive: true, headers: { 'X-Account-Id': account } }).catch(
        () => {},
      );
    void beat();
    addEventListener('pagehide', leave);
    return () => {
      over = true;
      clearTimeout(timer);
      removeEventListener('pagehide', leave);
      setSeen(false);
      said.current = said.current.then(leave);
    };
  }, [account, deviceId, on]);

  return seen;
}
