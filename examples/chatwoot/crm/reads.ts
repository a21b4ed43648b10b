import type { Cache, SqlExecutor, TierClock } from '@cachekit/core';
import { type Company, readCompany, readUser, type User } from './companies.ts';
import { type Contact, readContacts, readContactsByPhone } from './contacts.ts';
import { keys, userKeys } from './keys.ts';
import { type HistoryOf, type Message, readHistory } from './messages.ts';

/** What the CRM reads all day. */
export interface CrmReads {
  /** @param since - The clock of a change that the caller heard of: the answer has it, in every instance. */
  history(company: string, of: HistoryOf, since?: TierClock): Promise<readonly Message[]>;
  company(company: string): Promise<Company | null>;
  user(id: number): Promise<User | null>;
  contact(company: string, id: number): Promise<Contact | null>;
  contactByPhone(company: string, phone: string): Promise<Contact | null>;
}

/** Asks PostgreSQL each time, with one query. */
export function plainReads(sql: SqlExecutor): CrmReads {
  return {
    history: (company, of) => readHistory(sql, company, of),
    company: (company) => readCompany(sql, company),
    user: (id) => readUser(sql, id),
    contact: async (company, id) => (await readContacts(sql, company, [id])).get(id) ?? null,
    contactByPhone: async (company, phone) =>
      (await readContactsByPhone(sql, company, [phone])).get(phone) ?? null,
  };
}

/** The same from the cache. Nothing here says when an entry is old: `tagsOf` does, for every change of the tables. */
export function cachedReads(cache: Cache, sql: SqlExecutor): CrmReads {
  const plain = plainReads(sql);
  return {
    history: (company, of, since) =>
      cache.getOrLoad(keys.messages({ tenant: company, ...of }), () => plain.history(company, of), {
        ...(since && { minClock: since }),
      }),
    company: (company) => cache.getOrLoad(keys.company({ tenant: company }), () => plain.company(company)),
    user: (id) => cache.getOrLoad(userKeys.users({ id }), () => plain.user(id)),
    contact: (company, id) =>
      cache.getOrLoad(keys.contacts({ tenant: company, id }), () => plain.contact(company, id)),
    contactByPhone: (company, phone) =>
      cache.getOrLoadVia(keys.contactsByPhone({ tenant: company, phone }), {
        find: async () => (await plain.contactByPhone(company, phone))?.id ?? null,
        key: (id) => keys.contacts({ tenant: company, id }),
        load: (id) => plain.contact(company, id),
        matches: (contact) => contact?.phone === phone,
      }),
  };
}
