import type { SqlExecutor } from '@cachekit/core';
import { chatwootSchema } from '../schema.sql.ts';

/** What is written, and how it is told. */
export interface SeedOptions {
  readonly conversations: number;
  readonly onProgress?: (task: string, detail: string) => void;
}

const batchRows = 20_000;

/** The same data for the same number, whatever the server: an integer hash of the row stands for chance. */
const chanceSql = `
  create function chance(nr bigint, purpose int) returns float8 language sql immutable parallel safe as
    $$ select (('x' || substr(md5(nr || ':' || purpose), 1, 8))::bit(32)::bigint) / 4294967296.0 $$`;

/** Six months, ended; conversations begin in all of it, mostly in the hours of an office. */
const beginSql = `timestamp '2026-01-05' + (chance(i, 1) * 180)::int * interval '1 day'
  + (7 + 12 * (chance(i, 2) + chance(i, 3)) / 2) * interval '1 hour'`;

/**
 * Writes Chatwoot's tables at a chosen size: about six messages a conversation, some of them private or activities, one
 * survey in four conversations and a second one in some; unassigned, unanswered and imported conversations. Three accounts share
 * the agents; contacts have a phone each, and write to their own account.
 */
export async function seed(sql: SqlExecutor, { conversations, onProgress }: SeedOptions): Promise<void> {
  for (const statement of [chatwootSchema, chanceSql]) await sql.query(statement);
  const contacts = Math.max(3, Math.ceil(conversations * 0.6));
  await sql.query(`insert into accounts (name, created_at, updated_at)
    select name, '2026-01-01', '2026-01-01' from unnest(array['Acme', 'Globex', 'Initech']) name`);
  await sql.query(`insert into users (name, email, created_at, updated_at)
    select 'Agent ' || i, 'agent' || i || '@example.com', '2026-01-01', '2026-01-01' from generate_series(1, 40) i`);
  await sql.query(`insert into account_users (account_id, user_id, role, created_at, updated_at)
    select account, agent, (agent % 10 = 0)::int, '2026-01-01', '2026-01-01' from generate_series(1, 3) account, generate_series(1, 40) agent`);
  await sql.query(`insert into teams (name, account_id) select 'Team ' || i, 1 from generate_series(1, 5) i`);
  await sql.query(`insert into inboxes (channel_id, account_id, name, created_at, updated_at, channel_type)
    select i, 1 + i % 3, 'Inbox ' || i, '2026-01-01', '2026-01-01',
      (array['Channel::Whatsapp', 'Channel::WebWidget', 'Channel::Email'])[1 + i % 3] from generate_series(1, 12) i`);
  await inBatches('contacts', contacts, onProgress, (from, to) =>
    sql.query(`insert into contacts (name, email, phone_number, account_id, created_at, updated_at, identifier, last_activity_at,
        blocked)
      select 'Contact ' || i, case when i % 3 = 0 then 'c' || i || '@example.com' end, '+1555' || lpad(i::text, 7, '0'), 1 + i % 3,
        '2026-01-01', '2026-01-01', case when i % 4 = 0 then 'customer-' || i end, timestamp '2026-01-05' + chance(i, 21) * interval '180 days',
        i % 50 = 0 from generate_series(${from}, ${to}) i`),
  );
  await inBatches('conversations', conversations, onProgress, (from, to) =>
    sql.query(`insert into conversations (account_id, inbox_id, status, assignee_id, created_at, updated_at, contact_id, display_id,
        last_activity_at, team_id, first_reply_created_at, priority, waiting_since, cached_label_list)
      select 1 + inbox % 3, inbox, (array[0, 1, 1, 1, 1, 1, 2, 3])[1 + (chance(i, 4) * 7)::int],
        case when chance(i, 5) < 0.85 then 1 + (chance(i, 6) * 39)::int end, began, began,
        3 * (chance(i, 7) * ${Math.floor(contacts / 3) - 1})::int + 1 + (inbox + 2) % 3, i,
        began, case when chance(i, 8) < 0.5 then 1 + (chance(i, 9) * 4)::int end,
        case when chance(i, 10) < 0.02 then began - interval '1 day' when chance(i, 10) < 0.9 then began + chance(i, 11) * interval '3 hours' end,
        case when chance(i, 12) < 0.3 then (chance(i, 13) * 3)::int end, case when chance(i, 10) >= 0.9 then began end,
        case when chance(i, 14) < 0.2 then 'billing' end
      from (select i, 1 + (chance(i, 15) * 11)::int as inbox, ${beginSql} as began from generate_series(${from}, ${to}) i) one`),
  );
  await inBatches('messages', conversations, onProgress, (from, to) =>
    sql.query(`insert into messages (content, account_id, inbox_id, conversation_id, message_type, created_at, updated_at, private,
        sender_type, sender_id)
      select case kind when 2 then 'Conversation was assigned' else 'Message ' || n || ' of conversation ' || c.id end, c.account_id,
        c.inbox_id, c.id, kind, at, at, kind = 1 and chance(c.id * 100 + n, 17) < 0.15,
        case kind when 0 then 'Contact' when 1 then 'User' end, case kind when 0 then c.contact_id when 1 then coalesce(c.assignee_id, 1) end
      from conversations c cross join lateral (select n, case when n = 2 then 2 else n % 2 end as kind, c.created_at + n * interval '7 minutes' as at
        from generate_series(0, 1 + (chance(c.id, 16) * 8)::int) n) m
      where c.id between ${from} and ${to}`),
  );
  await inBatches('surveys', conversations, onProgress, (from, to) =>
    sql.query(`insert into csat_survey_responses (account_id, conversation_id, message_id, rating, feedback_message, contact_id, assigned_agent_id,
        created_at, updated_at)
      select c.account_id, c.id, c.id * 2 + n, 1 + (chance(c.id * 10 + n, 18) * 4)::int, case when c.id % 5 = 0 then 'Thank you' end,
        c.contact_id, c.assignee_id, at, at
      from conversations c cross join generate_series(0, case when chance(c.id, 19) < 0.05 then 1 else 0 end) n
      cross join lateral (select c.created_at + (5 + n) * interval '1 hour' as at) t
      where c.id between ${from} and ${to} and chance(c.id, 20) < 0.25`),
  );
  await sql.query('analyze');
}

async function inBatches(
  task: string,
  total: number,
  onProgress: SeedOptions['onProgress'],
  write: (from: number, to: number) => Promise<unknown>,
): Promise<void> {
  for (let from = 1; from <= total; from += batchRows) {
    const to = Math.min(total, from + batchRows - 1);
    await write(from, to);
    onProgress?.(task, `${Math.round((to / total) * 100)} %`);
  }
}
