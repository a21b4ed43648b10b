import { useState } from 'react';
import type { CommandResult, DevicePerformance } from '../api.ts';
import { useLive } from '../live.tsx';
import { useApi } from '../use-api.ts';
import { Card } from './card.tsx';

/** Ten commands a minute for each device: the eleventh is answered with 429 and the time to wait. */
export function DeviceCommands() {
  const { account } = useLive();
  const devices = useApi<{ devices: DevicePerformance[] }>('devices', '/api/devices').data?.body.devices;
  const device = devices?.[0];
  const [result, setResult] = useState<CommandResult>();

  async function send(deviceId: string): Promise<void> {
    const response = await fetch(`/api/devices/${deviceId}/commands`, {
      method: 'POST',
      headers: { 'X-Account-Id': account },
    });
    setResult({
      accepted: response.ok,
      remaining: Number(response.headers.get('X-RateLimit-Remaining') ?? 0),
      retryAfterSeconds: Number(response.headers.get('Retry-After') ?? 0),
    });
  }

  return (
    <Card title="Device commands" hint="10 a minute for each device">
      <div className="commands">
        <button
          type="button"
          className="button quiet"
          disabled={!device}
          onClick={() => {
            if (device) send(device.deviceId).catch(() => setResult(undefined));
          }}
        >
          Restart {device?.name ?? 'device'}
        </button>
        <output data-denied={result ? !result.accepted : false}>
          {result === undefined
            ? ''
            : result.accepted
              ? `Sent; ${result.remaining} left this minute`
              : `Refused: wait ${result.retryAfterSeconds} s`}
        </output>
      </div>
    </Card>
  );
}
