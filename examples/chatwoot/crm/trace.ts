import type { SqlExecutor } from '@cachekit/core';
import { createRandom, popular } from './random.ts';

/** A chat with whom it is about and who looks after it. */
export interface Chat {
  readonly id: number;
  readonly company: string;
  readonly contact: number;
  readonly phone: string;
  readonly agent: number;
}

/** What an agent's browser asks for: more of the chat that is open, or everything of one that is opened. */
export interface PageRequest {
  readonly kind: 'poll' | 'open';
  readonly agent: number;
  readonly chat: Chat;
}

/** What happens in one second. */
export interface Second {
  /** Chats in which a contact writes; the assistant answers. */
  readonly incoming: readonly Chat[];
  readonly pages: readonly PageRequest[];
}

const pollSeconds = 5;
const burstSeconds = 10;

/** The chats in which something happened last. */
export async function readChats(sql: SqlExecutor, count: number): Promise<readonly Chat[]> {
  const { rows } = await sql.query<Chat>(
    `select c.id, c.account_id::text as company, p.id as contact, p.phone_number as phone, c.assignee_id as agent
     from conversations c join contacts p on p.id = c.contact_id and p.account_id = c.account_id
     where c.assignee_id is not null and p.phone_number is not null order by c.last_activity_at desc, c.id limit $1`,
    [count],
  );
  return rows;
}

/**
 * Some time of a busy morning, the same for the same seed. Every agent has a chat open, whose page asks for news every
 * five seconds, and opens another one now and then. Contacts write, many of them twice in a row, and every ten seconds
 * many of them at once, because a campaign went out. A few chats have most of it all (Zipf).
 */
export function makeTrace(
  chats: readonly Chat[],
  { seed, seconds }: { readonly seed: number; readonly seconds: number },
): readonly Second[] {
  const random = createRandom(seed);
  const agents = [...new Set(chats.map(({ agent }) => agent))].sort((one, other) => one - other);
  const open = new Map(agents.map((agent) => [agent, popular(random, chats)]));
  let again: readonly Chat[] = [];
  return Array.from({ length: seconds }, (_, second) => {
    const count = second % burstSeconds === burstSeconds - 1 ? 5 : Math.floor(random() * 2);
    const writing = Array.from({ length: count }, () => popular(random, chats));
    const incoming = [...new Set([...again, ...writing])];
    again = writing.filter(() => random() < 0.4);
    const pages = agents
      .filter((_agent, index) => index % pollSeconds === second % pollSeconds)
      .map((agent): PageRequest => {
        const kind = second < pollSeconds || random() < 1 / 6 ? 'open' : 'poll';
        if (kind === 'open') open.set(agent, popular(random, chats));
        return { kind, agent, chat: open.get(agent) as Chat };
      });
    return { incoming, pages };
  });
}
