import { changed, defineEvents, type EventsOf, on, type RealtimeEventInput } from '@cachekit/realtime';

/** The resource of the page that each view feeds. */
const resourceOfView = {
  mv_call_statistics: 'statistics',
  mv_device_performance: 'devices',
  mv_campaign_performance: 'campaigns',
} as const;

/** Each of them, so that it is told however the row changed. */
const anyOperation = ['insert', 'update', 'delete'] as const;

const viewRefreshed = (view: keyof typeof resourceOfView) =>
  on(view, 'refresh', () => ({ resource: resourceOfView[view] }));

/** What browsers are told of committed rows, and from which change it comes. */
export const events = defineEvents({
  'call.created': on('calls', 'insert', ({ key, at }) => ({ callId: String(key.id), writtenAt: at })),
  'call.changed': on('calls', 'update', changed('status', 'duration'), ({ key, at }) => ({
    callId: String(key.id),
    writtenAt: at,
  })),
  'call.deleted': on('calls', 'delete', ({ key }) => ({ callId: String(key.id) })),
  'view.refreshed': [
    viewRefreshed('mv_call_statistics'),
    viewRefreshed('mv_device_performance'),
    viewRefreshed('mv_campaign_performance'),
    // Names of campaigns are read at once, not by way of a refresh.
    ...anyOperation.map((operation) =>
      on('number_lists', operation, () => ({ resource: 'campaigns' as const })),
    ),
  ],
  'device.changed': anyOperation.map((operation) =>
    on('devices', operation, ({ key }) => ({ deviceId: String(key.id) })),
  ),
});

/** What browsers are told of devices; no row says so. */
export type DeviceEvents = {
  'device.online': { deviceId: string };
  'device.offline': { deviceId: string; reason: 'leave' | 'timeout' | 'server-down' };
  'device.command': { deviceId: string; command: string; fencingToken: number };
};

/** Everything that browsers are told. */
export type PbxEvents = EventsOf<typeof events> & DeviceEvents;

/** An event of a device, for the listeners of its account. */
export function deviceEvent<Type extends keyof DeviceEvents>(
  account: string,
  type: Type,
  data: DeviceEvents[Type],
): RealtimeEventInput {
  return { type, tenant: account, data, at: Date.now() };
}
