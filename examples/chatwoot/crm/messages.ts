import type { SqlExecutor } from '@cachekit/core';

/** A message as the CRM shows it to an agent, or hands it to the assistant. */
export interface Message {
  readonly id: number;
  readonly type: 'incoming' | 'outgoing' | 'activity' | 'template';
  /** A note among agents. */
  readonly private: boolean;
  readonly content: string | null;
  /** UTC. */
  readonly at: string;
}

/** Which part of a chat: its newest messages, as many as `limit`, none from before a day. */
export interface HistoryOf {
  readonly chat: number;
  readonly limit: number;
  /** `YYYY-MM-DD`. */
  readonly fromDate: string;
}

/** The newest first; nothing of a chat that is another company's. */
export async function readHistory(
  sql: SqlExecutor,
  company: string,
  { chat, limit, fromDate }: HistoryOf,
): Promise<readonly Message[]> {
  const { rows } = await sql.query<Message>(
    `select id, (array['incoming', 'outgoing', 'activity', 'template'])[message_type + 1] as type, private, content,
       to_char(created_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at
     from messages where conversation_id = $1 and account_id = $2 and created_at >= $3::date
     order by created_at desc, id desc limit $4`,
    [chat, company, fromDate, limit],
  );
  return rows;
}
