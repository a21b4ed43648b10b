import type { SqlExecutor } from '@cachekit/core';

/** A bank account of an office. */
export interface Account {
  readonly id: string;
  readonly name: string;
}

export async function accountsOf(sql: SqlExecutor, tenant: string): Promise<Account[]> {
  const { rows } = await sql.query<Account>(
    'select id, name from pluggy_accounts where tenant_id = $1 order by id',
    [tenant],
  );
  return rows;
}

/** Whose account it is; `undefined` for one that nobody has. */
export async function tenantOfAccount(sql: SqlExecutor, account: string): Promise<string | undefined> {
  const { rows } = await sql.query<{ tenant: string }>(
    'select tenant_id as tenant from pluggy_accounts where id = $1',
    [account],
  );
  return rows[0]?.tenant;
}
