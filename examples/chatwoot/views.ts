import { avg, count, defineRollup, defineView, sum, type ViewDefinition } from '@cachekit/pg-matviews';

/** Layer 1: a conversation with who and where it is; statuses and priorities by their names. */
const conversationsBase = defineView({
  name: 'vw_conversations_base',
  kind: 'view',
  layer: 1,
  query: `
    select
      c.id, c.display_id, c.account_id, c.inbox_id, c.contact_id, c.assignee_id, c.team_id,
      (array['open', 'resolved', 'pending', 'snoozed'])[c.status + 1] as status,
      (array['low', 'medium', 'high', 'urgent'])[c.priority + 1] as priority,
      c.created_at, c.updated_at, c.last_activity_at, c.first_reply_created_at, c.waiting_since, c.cached_label_list as labels,
      contact.name as contact_name, contact.email as contact_email, contact.phone_number as contact_phone,
      inbox.name as inbox_name, inbox.channel_type as inbox_type,
      assignee.name as assignee_name
    from conversations c
    left join contacts contact on contact.id = c.contact_id
    left join inboxes inbox on inbox.id = c.inbox_id
    left join users assignee on assignee.id = c.assignee_id`,
});

/** Layer 1: all messages of a conversation as one value. */
const messagesCompiled = defineView({
  name: 'vw_messages_compiled',
  kind: 'view',
  layer: 1,
  query: `
    select
      conversation_id,
      jsonb_agg(jsonb_build_object('id', id, 'type', message_type, 'private', private, 'sender', sender_type, 'content', content,
        'at', created_at) order by created_at, id) as message_compiled,
      count(*)::integer as t_messages
    from messages
    group by conversation_id`,
});

/** Layer 1: the last survey of a conversation; some were asked twice, and one row each would count them twice. */
const csatBase = defineView({
  name: 'vw_csat_base',
  kind: 'view',
  layer: 1,
  query: `
    select distinct on (conversation_id) conversation_id, rating, feedback_message, created_at as rated_at
    from csat_survey_responses
    order by conversation_id, created_at desc, id desc`,
});

/** Layer 2: figures of the conversation itself. A reply before the beginning comes from an import and counts as none. */
const conversationMetrics = defineView({
  name: 'vw_conversation_metrics',
  kind: 'view',
  layer: 2,
  query: `
    select
      id as conversation_id,
      case when first_reply_created_at >= created_at
        then extract(epoch from first_reply_created_at - created_at)::integer end as first_response_seconds,
      status = 'resolved' as is_resolved,
      assignee_id is not null as is_assigned,
      created_at::date as conversation_date,
      extract(hour from created_at)::integer as conversation_hour,
      extract(dow from created_at)::integer as day_of_week
    from vw_conversations_base`,
});

/** Layer 2: figures of the messages, without the private ones. */
const messageStats = defineView({
  name: 'vw_message_stats',
  kind: 'view',
  layer: 2,
  query: `
    select
      conversation_id,
      (count(*) filter (where sender_type = 'User'))::integer as user_msg_count,
      (count(*) filter (where sender_type = 'Contact'))::integer as contact_msg_count,
      min(created_at) as first_message_at,
      max(created_at) as last_message_at,
      extract(epoch from max(created_at) - min(created_at))::integer as duration_seconds
    from messages
    where not private
    group by conversation_id`,
});

/** Layer 3: everything of a conversation in one row. */
const conversationsAnalytics = defineView({
  name: 'vw_conversations_analytics',
  kind: 'view',
  layer: 3,
  query: `
    select
      base.*, compiled.message_compiled, coalesce(compiled.t_messages, 0) as t_messages,
      csat.rating, csat.feedback_message, csat.rated_at,
      metrics.first_response_seconds, metrics.is_resolved, metrics.is_assigned, metrics.conversation_date,
      metrics.conversation_hour, metrics.day_of_week,
      coalesce(stats.user_msg_count, 0) as user_msg_count, coalesce(stats.contact_msg_count, 0) as contact_msg_count,
      stats.first_message_at, stats.last_message_at, stats.duration_seconds
    from vw_conversations_base base
    left join vw_messages_compiled compiled on compiled.conversation_id = base.id
    left join vw_csat_base csat on csat.conversation_id = base.id
    left join vw_conversation_metrics metrics on metrics.conversation_id = base.id
    left join vw_message_stats stats on stats.conversation_id = base.id`,
});

/** Layer 4: a day of an inbox. By the id of the inbox, because names change; sums beside the averages, so that they compose. */
const dailySummary = defineView({
  name: 'mvw_daily_summary',
  kind: 'materialized',
  layer: 4,
  query: `
    select
      conversation_date, inbox_id, min(inbox_name) as inbox_name, status,
      count(*)::integer as total_conversations,
      count(first_response_seconds)::integer as answered,
      sum(first_response_seconds) as response_seconds,
      round(avg(first_response_seconds), 2) as avg_response_time,
      count(rating)::integer as total_rated,
      sum(rating) as rating_sum,
      round(avg(rating), 2) as avg_rating
    from vw_conversations_analytics
    group by conversation_date, inbox_id, status`,
  indexes: [{ columns: ['conversation_date', 'inbox_id', 'status'], unique: true }],
});

/** Phase one of the document: two views are enough to begin with. */
export const firstPhase: readonly ViewDefinition[] = [conversationsBase, messagesCompiled];

/** All four layers, in the database of Chatwoot. */
export const remoteViews: readonly ViewDefinition[] = [
  ...firstPhase,
  csatBase,
  conversationMetrics,
  messageStats,
  conversationsAnalytics,
  dailySummary,
];

/** The same summary over the local copy: only the days and inboxes that the copy changed are computed again. */
export const localSummary = defineRollup({
  name: 'daily_summary',
  from: 'conversations_analytics',
  key: { conversation_date: 'conversation_date', inbox_id: 'inbox_id', status: 'status' },
  measures: {
    total_conversations: count().as('integer'),
    answered: count('first_response_seconds').as('integer'),
    response_seconds: sum('first_response_seconds'),
    avg_response_time: avg('first_response_seconds').as('numeric(20,2)'),
    total_rated: count('rating').as('integer'),
    rating_sum: sum('rating'),
    avg_rating: avg('rating').as('numeric(20,2)'),
  },
});
