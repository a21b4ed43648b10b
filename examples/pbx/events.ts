import { changed, defineEvents, on } from '@cachekit/realtime';

/** The resource of the page that each view feeds. */
const resourceOfView = {
  mv_call_statistics: 'statistics',
  mv_device_performance: 'devices',
  mv_campaign_performance: 'campaigns',
} as const;

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
  ],
});
