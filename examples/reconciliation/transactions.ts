import type { SqlExecutor } from '@cachekit/core';

/** Which transactions are listed. What is left out is not asked for. */
export type TransactionFilter = {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly type?: 'CREDIT' | 'DEBIT' | undefined;
  /** From 1. */
  readonly page: number;
};

/** A transaction as it is listed. */
interface ListedTransaction {
  readonly id: string;
  readonly date: string;
  readonly type: 'CREDIT' | 'DEBIT';
  readonly amount: string;
  readonly description: string;
}

/** One page, the newest first. */
export interface TransactionPage {
  readonly page: number;
  readonly transactions: readonly ListedTransaction[];
}

const pageLength = 50;

export async function transactionsOf(
  sql: SqlExecutor,
  tenant: string,
  { from, to, type, page }: TransactionFilter,
): Promise<TransactionPage> {
  const { rows } = await sql.query<ListedTransaction>(
    `select id, to_char(date, 'YYYY-MM-DD') as date, type, amount::text, description from pluggy_transactions
     where tenant_id = $1 and date >= coalesce($2::date, '-infinity') and date < coalesce($3::date + 1, 'infinity')
       and ($4::text is null or type = $4)
     order by date desc, id limit ${pageLength} offset $5::integer * ${pageLength}`,
    [tenant, from ?? null, to ?? null, type ?? null, page - 1],
  );
  return { page, transactions: rows };
}
