import type { SqlExecutor } from '@cachekit/core';
import type {
  Account,
  CampaignPerformance,
  Device,
  DevicePerformance,
  RecentCall,
  StatisticsDay,
} from '../page/api.ts';

/** The queries behind the page. Each reads one account; the views hold what is expensive. */
export const reads = {
  async accounts(sql: SqlExecutor) {
    const { rows } = await sql.query<Account>('select id::text, name from users order by users.id');
    return { accounts: rows };
  },

  async statistics(sql: SqlExecutor, account: string) {
    const { rows } = await sql.query<StatisticsDay>(
      `select date::text as date, total_calls::int as "totalCalls", answered_calls::int as "answeredCalls",
              completed_calls::int as "completedCalls", failed_calls::int as "failedCalls",
              avg_duration::float8 as "averageDurationSeconds", devices_used::int as "devicesUsed"
       from mv_call_statistics where user_id = $1 order by date`,
      [account],
    );
    return { days: rows };
  },

  async devices(sql: SqlExecutor, account: string) {
    const { rows } = await sql.query<DevicePerformance>(
      `select device_id::text as "deviceId", device_name as name, total_calls::int as "totalCalls",
              answered_calls::int as "answeredCalls", completed_calls::int as "completedCalls",
              avg_duration::float8 as "averageDurationSeconds", last_call_at as "lastCallAt"
       from mv_device_performance where user_id = $1 order by total_calls desc, device_id limit 6`,
      [account],
    );
    return { devices: rows };
  },

  async campaigns(sql: SqlExecutor, account: string) {
    const { rows } = await sql.query<CampaignPerformance>(
      `select campaign_id::text as "campaignId", campaign_name as name, total_calls::int as "totalCalls",
              answered_calls::int as "answeredCalls", completed_calls::int as "completedCalls",
              failed_calls::int as "failedCalls", answer_rate_percent::float8 as "answerRatePercent"
       from mv_campaign_performance where user_id = $1 order by answer_rate_percent desc nulls last, campaign_id`,
      [account],
    );
    return { campaigns: rows };
  },

  async recentCalls(sql: SqlExecutor, account: string, limit: number) {
    const { rows } = await sql.query<RecentCall>(
      `select c.id::text, c.phone_number as "phoneNumber", c.status, d.name as "deviceName",
              l.name as "campaignName", c.start_time as "startTime", c.duration as "durationSeconds"
       from calls c left join devices d on d.id = c.device_id left join number_lists l on l.id = c.campaign_id
       where c.user_id = $1 order by c.start_time desc, c.id desc limit $2`,
      [account, limit],
    );
    return { calls: rows };
  },

  async deviceList(sql: SqlExecutor, account: string) {
    const { rows } = await sql.query<Device>(
      'select id::text, name from devices where user_id = $1 order by devices.id',
      [account],
    );
    return { devices: rows };
  },
};
