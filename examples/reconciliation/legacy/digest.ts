import { createCompat } from '@cachekit/core/compat';
import { type Account, accountsOf } from '../accounts.ts';
import type { Desk } from '../wiring.ts';

/**
 * The daily digest as it was written before there were typed keys: keys are texts, and every read is get, load, set. It
 * shares its entries with `GET /api/accounts`, so a sync drops them too.
 */
export function createDigest({
  sql,
  cache,
}: Pick<Desk, 'sql' | 'cache'>): (tenant: string) => Promise<string> {
  const { getCached, setCached } = createCompat(cache);
  return async (tenant) => {
    const key = `tenant:${encodeURIComponent(tenant)}:accounts`;
    let accounts = await getCached<Account[]>(key);
    if (accounts === null) {
      accounts = await accountsOf(sql, tenant);
      await setCached(key, accounts, 120);
    }
    return `Accounts: ${accounts.map(({ id }) => id).join(', ')}`;
  };
}
