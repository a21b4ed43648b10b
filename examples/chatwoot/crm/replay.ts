import type { SqlExecutor, TierClock } from '@cachekit/core';
import type { HistoryOf, Message } from './messages.ts';
import type { CrmReads } from './reads.ts';
import type { Chat, PageRequest, Second } from './trace.ts';

/** What a trace is played on. */
export interface Playground {
  /** The instances, which take turns. */
  readonly reads: readonly CrmReads[];
  /** Chatwoot's own connection: messages are written past the CRM. */
  readonly chatwoot: SqlExecutor;
  /** Resolves when the CRM has heard of a message. */
  readonly heard?: (message: number) => Promise<TierClock | undefined>;
  /** Called when a second begins, with what came of those before. */
  readonly onSecond?: (second: number, before: Replayed) => void;
}

/** What came of it. */
export interface Replayed {
  readonly reads: number;
  readonly messages: number;
  /** Reads that were rejected. */
  readonly failed: number;
  /** Turns of the assistant whose history had not the message that is to be answered. */
  readonly old: number;
  /** Of a read. */
  readonly slowestMs: number;
}

/** What the assistant is given of a chat, and what a page shows. */
export const promptOf = (chat: Chat): HistoryOf => ({ chat: chat.id, limit: 20, fromDate: '2026-01-01' });
export const pageOf = (chat: Chat): HistoryOf => ({ chat: chat.id, limit: 50, fromDate: '2026-01-01' });

/** Plays second after second, each as fast as it goes. */
export async function replay(trace: readonly Second[], on: Playground): Promise<Replayed> {
  const counts = { reads: 0, messages: 0, failed: 0, old: 0, slowestMs: 0 };

  async function ask<T>(read: (reads: CrmReads) => Promise<T>): Promise<T | undefined> {
    const reads = on.reads[counts.reads % on.reads.length] as CrmReads;
    counts.reads += 1;
    const began = performance.now();
    try {
      return await read(reads);
    } catch {
      counts.failed += 1;
      return undefined;
    } finally {
      counts.slowestMs = Math.max(counts.slowestMs, performance.now() - began);
    }
  }

  async function write(chat: Chat, type: 'incoming' | 'outgoing') {
    counts.messages += 1;
    const id = await writeMessage(on.chatwoot, chat, type);
    return { chat, id, since: await on.heard?.(id) };
  }

  async function answer({ chat, id, since }: Awaited<ReturnType<typeof write>>): Promise<void> {
    const { company, phone, agent } = chat;
    const [history] = await Promise.all([
      ask((reads) => reads.history(company, promptOf(chat), since)),
      ask((reads) => reads.company(company)),
      ask((reads) => reads.contactByPhone(company, phone)),
      ask((reads) => reads.user(agent)),
    ]);
    if (history !== undefined && !has(history, id)) counts.old += 1;
    await write(chat, 'outgoing');
  }

  async function show({ kind, agent, chat }: PageRequest): Promise<void> {
    await ask((reads) => reads.user(agent));
    await ask((reads) => reads.history(chat.company, pageOf(chat)));
    if (kind === 'poll') return;
    await ask((reads) => reads.company(chat.company));
    await ask((reads) => reads.contact(chat.company, chat.contact));
  }

  for (const [second, { incoming, pages }] of trace.entries()) {
    on.onSecond?.(second, { ...counts });
    const arrived = await Promise.all(incoming.map((chat) => write(chat, 'incoming')));
    await Promise.all([...arrived.map(answer), ...pages.map(show)]);
  }
  return counts;
}

/** Writes a message as Chatwoot does, a minute after the last of its chat. */
export async function writeMessage(
  sql: SqlExecutor,
  { id, company, contact, agent }: Chat,
  type: 'incoming' | 'outgoing',
): Promise<number> {
  const incoming = type === 'incoming';
  const { rows } = await sql.query<{ id: number }>(
    `insert into messages (content, account_id, inbox_id, conversation_id, message_type, created_at, updated_at, sender_type, sender_id)
     select $2, $3, inbox_id, id, $4, at, at, $5, $6
     from conversations cross join lateral (
       select coalesce(max(m.created_at), conversations.created_at) + interval '1 minute' as at
       from messages m where m.conversation_id = conversations.id) last
     where id = $1 returning id`,
    [
      id,
      incoming ? 'And one more thing' : 'Here you are',
      company,
      incoming ? 0 : 1,
      incoming ? 'Contact' : 'User',
      incoming ? contact : agent,
    ],
  );
  return (rows[0] as { id: number }).id;
}

function has(history: readonly Message[], id: number): boolean {
  return history.some((message) => message.id === id);
}
