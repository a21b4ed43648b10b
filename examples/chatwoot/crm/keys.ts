import {
  type CacheTag,
  type ChangedRow,
  type ChangeEvent,
  defineKeys,
  resource,
  stableHash,
} from '@cachekit/core';
import type { Company, User } from './companies.ts';
import type { Contact } from './contacts.ts';
import type { HistoryOf, Message } from './messages.ts';

/** What the CRM knows of a phone before it imports it. */
export type Verdict = 'new' | 'known' | 'blocked';

/** What is cached of a company, for how long, and what each entry depends on. */
export const keys = defineKeys({
  scope: 'tenant',
  resources: {
    messages: resource<readonly Message[], HistoryOf>({ ttl: '5m', tags: ({ chat }) => [`chat:${chat}`] }),
    company: resource<Company | null>({ ttl: '30m', tags: ['company'] }),
    contacts: resource<Contact | null, { id: number }>({ ttl: '1h', tags: ({ id }) => [`contact:${id}`] }),
    // Leads from a phone to the id of a contact, which leads to the one entry above.
    contactsByPhone: resource<number | null, { phone: string }>({
      ttl: '1h',
      tags: ({ phone }) => [phoneTag(phone)],
    }),
    validations: resource<Verdict, { phone: string }>({ ttl: '30m', tags: ({ phone }) => [phoneTag(phone)] }),
  },
});

/** An agent works for several companies, so these are of none. */
export const userKeys = defineKeys({
  scope: 'global',
  resources: {
    users: resource<User | null, { id: number }>({ ttl: '30m', tags: ({ id }) => [`user:${id}`] }),
  },
});

/** Names of tags can be read in Redis. */
function phoneTag(phone: string): string {
  return `phone:${stableHash(phone)}`;
}

/** The tables that the entries are made of, and the columns that are in them. */
export const captured = {
  accounts: { tenant: 'id', columns: ['name'] },
  users: { columns: ['name', 'email'] },
  account_users: { columns: ['account_id', 'user_id', 'role'] },
  contacts: { tenant: 'account_id', columns: ['name', 'phone_number', 'email', 'identifier', 'blocked'] },
  messages: {
    tenant: 'account_id',
    columns: ['conversation_id', 'message_type', 'private', 'content', 'created_at'],
  },
};

/** What a committed change makes old, whoever made it: of a new message the histories of its chat, and of no other. */
export function tagsOf({ table, tenant, key, old, new: row }: ChangeEvent): CacheTag[] | 'all' {
  const before = old ?? row;
  const after = row ?? old;
  if (table === 'users') return [userKeys.tag(`user:${key.id}`)];
  if (table === 'account_users') return [before, after].map((of) => userKeys.tag(`user:${of?.user_id}`));
  if (tenant === undefined) return 'all';
  if (table === 'accounts') return [keys.tag(tenant, 'company')];
  if (table === 'messages')
    return [before, after].map((of) => keys.tag(tenant, `chat:${of?.conversation_id}`));
  const phones = [before, after].flatMap(phoneOf).map((phone) => keys.tag(tenant, phoneTag(phone)));
  return [keys.tag(tenant, `contact:${key.id}`), ...phones];
}

function phoneOf(contact: ChangedRow | undefined): string[] {
  return typeof contact?.phone_number === 'string' ? [contact.phone_number] : [];
}
