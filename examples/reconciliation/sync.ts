import type { SqlExecutor } from '@cachekit/core';
import type { Refresher } from '@cachekit/pg-matviews';

/** A transaction as the aggregator sends it. */
export interface BankTransaction {
  readonly id: string;
  readonly account: string;
  /** ISO 8601. */
  readonly date: string;
  readonly type: 'CREDIT' | 'DEBIT';
  readonly amount: string;
}

/**
 * Stores what a sync fetched or a webhook brought, and resolves when the indicators hold it. One that is sent again
 * replaces itself, and what is the same as stored writes nothing.
 */
export async function saveTransactions(
  sql: SqlExecutor,
  refresher: Refresher,
  tenant: string,
  transactions: readonly BankTransaction[],
): Promise<void> {
  await sql.query(
    `insert into pluggy_transactions as old (id, tenant_id, pluggy_account_db_id, date, type, amount)
     select id, $1, account, date::timestamp, type, amount::numeric
     from jsonb_to_recordset($2::jsonb) as sent (id text, account text, date text, type text, amount text)
     on conflict (id) do update set date = excluded.date, type = excluded.type, amount = excluded.amount
     where old.tenant_id = excluded.tenant_id
       and (old.date, old.type, old.amount) is distinct from (excluded.date, excluded.type, excluded.amount)`,
    [tenant, JSON.stringify(transactions)],
  );
  await refresher.afterSync(['pluggy_transactions']);
}
