import { defineView, type ViewDefinition } from '@cachekit/pg-matviews';

/**
 * The first instant of the day that was `days` days ago in `timeZone`.
 *
 * A window that begins there holds whole days, so the oldest of them does not shrink from refresh to refresh. The days
 * are counted on the local clock: a day on which the clock changes has 23 or 25 hours.
 */
const dayBegan = (days: number, timeZone: string): string =>
  `(date_trunc('day', now() at time zone '${timeZone}') - interval '${days} days') at time zone '${timeZone}'`;

/**
 * Per user and day over the last 90 days, today included. `avg_duration` is for reading; whoever adds days together
 * divides `total_duration` by `calls_with_duration`.
 */
const callStatistics = (timeZone: string): ViewDefinition =>
  defineView({
    name: 'mv_call_statistics',
    kind: 'materialized',
    query: `
    select
      user_id,
      (date_trunc('day', start_time, '${timeZone}') at time zone '${timeZone}')::date as date,
      count(*)::integer as total_calls,
      (count(*) filter (where status = 'answered'))::integer as answered_calls,
      (count(*) filter (where status = 'completed'))::integer as completed_calls,
      (count(*) filter (where status = 'failed'))::integer as failed_calls,
      count(duration)::integer as calls_with_duration,
      sum(duration) as total_duration,
      round(avg(duration), 2) as avg_duration,
      count(distinct device_id)::integer as devices_used,
      count(distinct campaign_id)::integer as campaigns_run
    from calls
    where start_time >= ${dayBegan(89, timeZone)}
    group by 1, 2`,
    indexes: [{ columns: ['user_id', 'date desc'], unique: true }],
    tenant: 'user_id',
    sources: { calls: { tenant: 'user_id' } },
    refresh: 'concurrently',
  });

/** Per device over the last 30 days; a device that nobody called with shows with zeros. */
const devicePerformance = (timeZone: string): ViewDefinition =>
  defineView({
    name: 'mv_device_performance',
    kind: 'materialized',
    query: `
    select
      d.id as device_id,
      d.user_id,
      d.name as device_name,
      d.status,
      count(c.id)::integer as total_calls,
      (count(*) filter (where c.status = 'answered'))::integer as answered_calls,
      (count(*) filter (where c.status = 'completed'))::integer as completed_calls,
      count(c.duration)::integer as calls_with_duration,
      coalesce(sum(c.duration), 0) as total_duration,
      round(avg(c.duration), 2) as avg_duration,
      max(c.start_time) as last_call_at
    from devices d
    left join calls c on c.device_id = d.id and c.start_time >= ${dayBegan(29, timeZone)}
    group by d.id`,
    indexes: [{ columns: ['device_id'], unique: true }, { columns: ['user_id', 'total_calls desc'] }],
    tenant: 'user_id',
    sources: {
      calls: { tenant: 'user_id', key: { device_id: 'device_id' } },
      devices: { tenant: 'user_id', key: { device_id: 'id' } },
    },
    refresh: 'concurrently',
  });

/**
 * Per campaign over the last 60 days; a campaign without calls shows, and has no answer rate. A call that was picked
 * up is `answered` while somebody speaks and `completed` after that, so both count as answered in the rate.
 */
const campaignPerformance = (timeZone: string): ViewDefinition =>
  defineView({
    name: 'mv_campaign_performance',
    kind: 'materialized',
    query: `
    select
      l.id as campaign_id,
      l.user_id,
      l.name as campaign_name,
      count(c.id)::integer as total_calls,
      (count(*) filter (where c.status = 'answered'))::integer as answered_calls,
      (count(*) filter (where c.status = 'completed'))::integer as completed_calls,
      (count(*) filter (where c.status = 'failed'))::integer as failed_calls,
      round(
        100.0 * count(*) filter (where c.status in ('answered', 'completed')) / nullif(count(c.id), 0), 2
      ) as answer_rate_percent,
      count(c.duration)::integer as calls_with_duration,
      coalesce(sum(c.duration), 0) as total_duration,
      round(avg(c.duration), 2) as avg_duration,
      min(c.start_time) as first_call_at,
      max(c.start_time) as last_call_at
    from number_lists l
    left join calls c on c.campaign_id = l.id and c.start_time >= ${dayBegan(59, timeZone)}
    group by l.id`,
    indexes: [
      { columns: ['campaign_id'], unique: true },
      { columns: ['user_id', 'answer_rate_percent desc nulls last'] },
    ],
    tenant: 'user_id',
    sources: {
      calls: { tenant: 'user_id', key: { campaign_id: 'campaign_id' } },
      number_lists: { tenant: 'user_id', key: { campaign_id: 'id' } },
    },
    refresh: 'concurrently',
  });

/** The views of a call centre whose days begin at midnight in `timeZone`, a name of the IANA database. */
export const definePbxViews = (timeZone: string): readonly ViewDefinition[] => [
  callStatistics(timeZone),
  devicePerformance(timeZone),
  campaignPerformance(timeZone),
];

/** The views of the demo. */
export const views: readonly ViewDefinition[] = definePbxViews('UTC');
