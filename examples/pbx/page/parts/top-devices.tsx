import type { DevicePerformance } from '../api.ts';
import { formatCount, formatDuration, formatTime } from '../format.ts';
import { useApi } from '../use-api.ts';
import { Card } from './card.tsx';

export function TopDevices() {
  const { data } = useApi<{ devices: DevicePerformance[] }>('devices', '/api/devices');
  const devices = data?.body.devices ?? [];
  const most = devices[0]?.totalCalls ?? 0;
  return (
    <Card title="Top devices" hint="last 30 days" answer={data}>
      <table>
        <thead>
          <tr>
            <th>Device</th>
            <th className="hide-narrow">Share of the busiest</th>
            <th className="number">Calls</th>
            <th className="number hide-narrow">Average</th>
            <th className="number">Last call</th>
          </tr>
        </thead>
        <tbody>
          {devices.map((device) => (
            <tr key={device.deviceId}>
              <td className="name">{device.name}</td>
              <td className="hide-narrow">
                <div className="meter">
                  <i
                    className="fill"
                    style={{ width: `${most > 0 ? (100 * device.totalCalls) / most : 0}%` }}
                  />
                </div>
              </td>
              <td className="number">{formatCount(device.totalCalls)}</td>
              <td className="number hide-narrow">{formatDuration(device.averageDurationSeconds)}</td>
              <td className="number">{device.lastCallAt ? formatTime(device.lastCallAt) : 'no call'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}
