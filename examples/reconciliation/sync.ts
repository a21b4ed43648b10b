import { randomUUID } from 'node:crypto';
import type { SqlExecutor, TierClock } from '@cachekit/core';
import type { Refresher } from '@cachekit/pg-matviews';
import { accountsOf } from './accounts.ts';
import type { BankTransaction } from './doubles/bank.ts';
import { invalidations } from './invalidations.ts';
import { precompute } from './precompute.ts';
import type { Desk } from './wiring.ts';

/** What a sync did. */
export interface Synced {
  readonly fetched: number;
  /** Those that were new or had changed. */
  readonly written: number;
  /** The months whose reconciliation is being computed. */
  readonly months: readonly string[];
  /** A read that asks for this clock gets nothing older than the sync. */
  readonly clock: TierClock;
}

/**
 * Fetches what the bank knows, stores it, brings the indicators up to date, drops what was cached of the tenant, and tells its
 * browsers. The reconciliations of the months that came are computed in the background.
 *
 * What was cached is dropped last, because a read in between would keep the old indicators.
 */
export async function sync(
  desk: Desk,
  tenant: string,
  reason: 'synced' | 'webhookReceived',
): Promise<Synced> {
  const { sql, refresher, bank, cache, hub, background } = desk;
  const accounts = await accountsOf(sql, tenant);
  const fetched = (await Promise.all(accounts.map(({ id }) => bank.transactions(id)))).flat();
  const written = await saveTransactions(sql, refresher, tenant, fetched);
  const clock = await invalidations.apply(cache, reason, { tenant });
  const months = [...new Set(fetched.map(({ date }) => date.slice(0, 7)))].sort();
  // By its origin an event that is published again is dropped.
  const origin = randomUUID();
  const data = { transactions: written };
  background.run('sync', async () => {
    await hub.publish([{ type: 'sync_complete', tenant, data, clock, origin }]);
  });
  background.run('precompute', () => precompute(desk, tenant, { months, clock, origin }));
  return { fetched: fetched.length, written, months, clock };
}

/**
 * Stores what a sync fetched or a webhook brought, and resolves when the indicators hold it. One that is sent again
 * replaces itself, and what is the same as stored writes nothing. In the order of their ids, so that two syncs of the same
 * wait for each other and do not deadlock.
 *
 * @returns How many were new or had changed.
 */
export async function saveTransactions(
  sql: SqlExecutor,
  refresher: Refresher,
  tenant: string,
  transactions: readonly BankTransaction[],
): Promise<number> {
  const { rowCount } = await sql.query(
    `insert into pluggy_transactions as old
       (id, tenant_id, pluggy_account_db_id, date, type, amount, description, payer_name, payer_cpf)
     select id, $1, account, date::timestamp, type, amount::numeric, coalesce(description, ''), "payerName", "payerCpf"
     from jsonb_to_recordset($2::jsonb) as sent
       (id text, account text, date text, type text, amount text, description text, "payerName" text, "payerCpf" text)
     order by id
     on conflict (id) do update set date = excluded.date, type = excluded.type, amount = excluded.amount,
       description = excluded.description, payer_name = excluded.payer_name, payer_cpf = excluded.payer_cpf
     where old.tenant_id = excluded.tenant_id
       and (old.date, old.type, old.amount, old.description, old.payer_name, old.payer_cpf) is distinct from
         (excluded.date, excluded.type, excluded.amount, excluded.description, excluded.payer_name, excluded.payer_cpf)`,
    [tenant, JSON.stringify(transactions)],
  );
  await refresher.afterSync(['pluggy_transactions']);
  return rowCount;
}
