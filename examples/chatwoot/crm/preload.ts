import type { Cache, SqlExecutor, WarmProgress } from '@cachekit/core';
import { readActiveContacts, readContacts, readContactsByPhone } from './contacts.ts';
import { keys } from './keys.ts';

/** Puts the contacts that were active last in the cache, found by id and by phone, before anybody asks for them. */
export async function preloadContacts(
  cache: Cache,
  sql: SqlExecutor,
  company: string,
  count: number,
  onProgress?: (progress: WarmProgress) => void,
): Promise<WarmProgress> {
  const contacts = await readActiveContacts(sql, company, count);
  await cache.warm({
    ids: contacts.map(({ phone }) => phone),
    key: (phone) => keys.contactsByPhone({ tenant: company, phone }),
    load: async (phones) => {
      const found = await readContactsByPhone(sql, company, phones);
      return phones.map((phone) => found.get(phone)?.id ?? null);
    },
  });
  return cache.warm({
    ids: contacts.map(({ id }) => id),
    key: (id) => keys.contacts({ tenant: company, id }),
    load: (ids) => readContacts(sql, company, ids),
    ...(onProgress && { onProgress }),
  });
}
