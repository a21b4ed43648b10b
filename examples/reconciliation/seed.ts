import type { SqlExecutor } from '@cachekit/core';
import { schemaSql } from './schema.sql.ts';

/** Tenants `t1`, `t2`, ... with so many transactions each over the first half of 2026; the same ones every time. */
export async function seed(
  sql: SqlExecutor,
  { tenants, transactions }: { tenants: number; transactions: number },
): Promise<void> {
  await sql.query(schemaSql);
  await sql.query(
    `insert into tenants select 't' || t, 'Office ' || t from generate_series(1, ${tenants}) t`,
  );
  await sql.query(
    `insert into pluggy_accounts select 'a' || t, 't' || t, 'Account' from generate_series(1, ${tenants}) t`,
  );
  await sql.query(`insert into pluggy_transactions (id, tenant_id, pluggy_account_db_id, date, type, amount, ignored)
    select t || '-' || i, 't' || t, 'a' || t, timestamp '2026-01-01' + (i * 97 % 181) * interval '1 day',
      case when i % 3 = 0 then 'CREDIT' else 'DEBIT' end, (i * 37 % 10000) / 100.0, i % 11 = 0
    from generate_series(1, ${tenants}) t cross join generate_series(1, ${transactions}) i`);
  await sql.query('analyze');
}
