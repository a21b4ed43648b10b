import type { SqlExecutor } from '@cachekit/core';

/** A company is an account of Chatwoot. */
export interface Company {
  readonly id: number;
  readonly name: string;
}

/** A user is an agent, of one company or of several. */
export interface User {
  readonly id: number;
  readonly name: string;
  readonly email: string | null;
  readonly companies: readonly { readonly id: number; readonly role: 'agent' | 'administrator' }[];
}

/** `null` if there is none. */
export async function readCompany(sql: SqlExecutor, company: string): Promise<Company | null> {
  const { rows } = await sql.query<Company>('select id, name from accounts where id = $1', [company]);
  return rows[0] ?? null;
}

/** What a request is authenticated with: who it is, and what it may do where. `null` if there is none. */
export async function readUser(sql: SqlExecutor, id: number): Promise<User | null> {
  const { rows } = await sql.query<User>(
    `select id, name, email, (
       select coalesce(json_agg(json_build_object('id', account_id, 'role', (array['agent', 'administrator'])[role + 1])
         order by account_id), '[]')
       from account_users where user_id = users.id) as companies
     from users where id = $1`,
    [id],
  );
  return rows[0] ?? null;
}
