import { changed, defineEvents, on } from '@cachekit/realtime';

/** The resource of the page that each view feeds. */
const resourceOfView = {
  mv_call_statistics: 'statistics',
  mv_device_performance: 'devices',
  mv_campaign_performance: 'campaigns',
} as const;

/** Names and states of devices and campaigns are read at once, not by way of a refresh. */
const resourceOfTable = { devices: 'devices', number_lists: 'campaigns' } as const;

const tableChanged = (table: keyof typeof resourceOfTable) =>
  (['insert', 'update', 'delete'] as const).map((operation) =>
    on(table, operation, () => ({ resource: resourceOfTable[table] })),
  );

const viewRefreshed = (view: keyof typeof resourceOfView) =>
  on(view, 'refresh', () => ({ resource: resourceOfView[view] }));

/** What browsers are told, and from which change it comes. */
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
    ...tableChanged('devices'),
    ...tableChanged('number_lists'),
  ],
});
