import { type CacheTag, type ChangeEvent, defineKeys, resource } from '@cachekit/core';
import type {
  Account,
  CampaignPerformance,
  Device,
  DevicePerformance,
  RecentCall,
  StatisticsDay,
} from './page/api.ts';

/** What is cached of an account, for how long, and what each entry depends on: a table, or a view and its refreshes. */
export const keys = defineKeys({
  scope: 'tenant',
  resources: {
    statistics: resource<{ days: StatisticsDay[] }>({ ttl: '15m', tags: ['mv_call_statistics'] }),
    devices: resource<{ devices: DevicePerformance[] }>({
      ttl: '5m',
      tags: ['mv_device_performance', 'devices'],
    }),
    deviceList: resource<{ devices: Device[] }>({ ttl: '5m', tags: ['devices'] }),
    campaigns: resource<{ campaigns: CampaignPerformance[] }>({
      ttl: '15m',
      tags: ['mv_campaign_performance', 'number_lists'],
    }),
    recentCalls: resource<{ calls: RecentCall[] }, { limit: number }>({ ttl: '1m', tags: ['calls'] }),
  },
});

/** What is cached and belongs to no account. */
export const globalKeys = defineKeys({
  scope: 'global',
  resources: { accounts: resource<{ accounts: Account[] }>({ ttl: '30m', tags: ['users'] }) },
});

/** What a change makes old: the tag of its table or view, of its tenant; everything if it names no tenant. */
export function tagsOf(change: ChangeEvent): CacheTag[] | 'all' {
  if (change.table === 'users') return [globalKeys.tag('users')];
  return change.tenant === undefined ? 'all' : [keys.tag(change.tenant, change.table)];
}
