import type { SqlExecutor } from '@cachekit/core';
import { createEtl, type Etl } from '@cachekit/pg-matviews/etl';

/**
 * The local table of the dashboard.
 *
 * Conversations are found by their transactions: a merged contact, an import and whatever skips the callbacks of Rails
 * changes them without a date. The others have one that moves.
 */
export function conversationsCopy(remote: SqlExecutor, local: SqlExecutor): Etl {
  return createEtl({
    name: 'conversations',
    remote,
    local,
    from: 'vw_conversations_analytics',
    to: 'conversations_analytics',
    key: 'id',
    sources: {
      conversations: { key: 'id', changed: 'xmin' },
      messages: { key: 'conversation_id', changed: { column: 'updated_at' } },
      csat_survey_responses: { key: 'conversation_id', changed: { column: 'updated_at' } },
      contacts: {
        changed: { column: 'updated_at' },
        through: { table: 'conversations', match: 'contact_id', key: 'id' },
      },
      inboxes: {
        changed: { column: 'updated_at' },
        through: { table: 'conversations', match: 'inbox_id', key: 'id' },
      },
      users: {
        changed: { column: 'updated_at' },
        through: { table: 'conversations', match: 'assignee_id', key: 'id' },
      },
    },
    every: '1m',
    // The first load groups all messages once per so many rows.
    maxRows: 1_000_000,
    reconcile: { keys: '1h', rows: '1d' },
  });
}

/** What the local table has of its own: indexes for the dashboard, and a column that Chatwoot does not know. */
export const localIndexes = `
  alter table conversations_analytics add column if not exists reviewed boolean not null default false;
  create index if not exists conversations_by_day on conversations_analytics (conversation_date, inbox_id, status)
    include (first_response_seconds, rating);
  create index if not exists conversations_by_age on conversations_analytics (created_at desc)`;
