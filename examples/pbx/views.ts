import {
  avg,
  bucket,
  count,
  countDistinct,
  defineRollup,
  defineView,
  max,
  min,
  sum,
  type ViewDefinition,
  type ViewScheduleOptions,
} from '@cachekit/pg-matviews';

/** Per user and day over the last 90 days, today included. Only the user and the day of a changed call are computed again. */
const callStatistics = (timeZone: string) =>
  defineRollup({
    name: 'mv_call_statistics',
    from: 'calls',
    key: { user_id: 'user_id', date: bucket('start_time', 'day', { timeZone }) },
    window: { key: 'date', buckets: 90 },
    measures: {
      total_calls: count().as('integer'),
      answered_calls: count().where(`status = 'answered'`).as('integer'),
      completed_calls: count().where(`status = 'completed'`).as('integer'),
      failed_calls: count().where(`status = 'failed'`).as('integer'),
      calls_with_duration: count('duration').as('integer'),
      total_duration: sum('duration'),
      avg_duration: avg('duration').as('numeric(20,2)'),
      devices_used: countDistinct('device_id').as('integer'),
      campaigns_run: countDistinct('campaign_id').as('integer'),
    },
    tenant: 'user_id',
  });

/** What a device did on a day. */
const deviceDays = (timeZone: string) =>
  defineRollup({
    name: 'device_days',
    layer: 1,
    from: 'calls',
    key: { device_id: 'device_id', date: bucket('start_time', 'day', { timeZone }), user_id: 'user_id' },
    window: { key: 'date', buckets: 30 },
    measures: {
      total_calls: count(),
      answered_calls: count().where(`status = 'answered'`),
      completed_calls: count().where(`status = 'completed'`),
      calls_with_duration: count('duration'),
      total_duration: sum('duration'),
      last_call_at: max('start_time'),
    },
    tenant: 'user_id',
  });

/**
 * Per device over the last 30 days; a device that nobody called with shows with zeros. It sums the days at each read, so
 * the passing of a day changes it without a refresh, and so does a renamed device.
 */
const devicePerformance = defineView({
  name: 'mv_device_performance',
  kind: 'view',
  layer: 2,
  query: `
    select
      d.id as device_id,
      d.user_id,
      d.name as device_name,
      d.status,
      s.total_calls,
      s.answered_calls,
      s.completed_calls,
      s.calls_with_duration,
      s.total_duration,
      round(s.total_duration::numeric / nullif(s.calls_with_duration, 0), 2) as avg_duration,
      s.last_call_at
    from devices d
    cross join lateral (
      select
        coalesce(sum(total_calls), 0)::integer as total_calls,
        coalesce(sum(answered_calls), 0)::integer as answered_calls,
        coalesce(sum(completed_calls), 0)::integer as completed_calls,
        coalesce(sum(calls_with_duration), 0)::integer as calls_with_duration,
        coalesce(sum(total_duration), 0)::bigint as total_duration,
        max(last_call_at) as last_call_at
      from device_days
      where device_days.device_id = d.id
    ) s`,
  tenant: 'user_id',
});

/** What a campaign did on a day. */
const campaignDays = (timeZone: string) =>
  defineRollup({
    name: 'campaign_days',
    layer: 1,
    from: 'calls',
    key: { campaign_id: 'campaign_id', date: bucket('start_time', 'day', { timeZone }), user_id: 'user_id' },
    window: { key: 'date', buckets: 60 },
    measures: {
      total_calls: count(),
      answered_calls: count().where(`status = 'answered'`),
      completed_calls: count().where(`status = 'completed'`),
      failed_calls: count().where(`status = 'failed'`),
      calls_with_duration: count('duration'),
      total_duration: sum('duration'),
      first_call_at: min('start_time'),
      last_call_at: max('start_time'),
    },
    tenant: 'user_id',
  });

/**
 * Per campaign over the last 60 days; a campaign without calls shows, and has no answer rate. A call that was picked
 * up is `answered` while somebody speaks and `completed` after that, so both count as answered in the rate.
 */
const campaignPerformance = defineView({
  name: 'mv_campaign_performance',
  kind: 'view',
  layer: 2,
  query: `
    select
      l.id as campaign_id,
      l.user_id,
      l.name as campaign_name,
      s.total_calls,
      s.answered_calls,
      s.completed_calls,
      s.failed_calls,
      round(100.0 * (s.answered_calls + s.completed_calls) / nullif(s.total_calls, 0), 2) as answer_rate_percent,
      s.calls_with_duration,
      s.total_duration,
      round(s.total_duration::numeric / nullif(s.calls_with_duration, 0), 2) as avg_duration,
      s.first_call_at,
      s.last_call_at
    from number_lists l
    cross join lateral (
      select
        coalesce(sum(total_calls), 0)::integer as total_calls,
        coalesce(sum(answered_calls), 0)::integer as answered_calls,
        coalesce(sum(completed_calls), 0)::integer as completed_calls,
        coalesce(sum(failed_calls), 0)::integer as failed_calls,
        coalesce(sum(calls_with_duration), 0)::integer as calls_with_duration,
        coalesce(sum(total_duration), 0)::bigint as total_duration,
        min(first_call_at) as first_call_at,
        max(last_call_at) as last_call_at
      from campaign_days
      where campaign_days.campaign_id = l.id
    ) s`,
  tenant: 'user_id',
});

/** The views of a call centre whose days begin at midnight in `timeZone`, a name of the IANA database. */
export const definePbxViews = (timeZone: string): readonly ViewDefinition[] => [
  callStatistics(timeZone),
  deviceDays(timeZone),
  devicePerformance,
  campaignDays(timeZone),
  campaignPerformance,
];

/** Every night all of it is computed once more, for what was written past the triggers: a restore, a load without them. */
export const nightly: Readonly<Record<string, ViewScheduleOptions>> = {
  mv_call_statistics: { cron: '0 3 * * *', timeZone: 'UTC' },
  device_days: { cron: '5 3 * * *', timeZone: 'UTC' },
  campaign_days: { cron: '10 3 * * *', timeZone: 'UTC' },
};

/** The views of the demo. */
export const views: readonly ViewDefinition[] = definePbxViews('UTC');
