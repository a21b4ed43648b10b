import type { SqlExecutor } from '@cachekit/core';

/** Somebody who writes to a company. */
export interface Contact {
  readonly id: number;
  readonly name: string;
  /** E.164; one contact of a company has it. */
  readonly phone: string | null;
  readonly email: string | null;
  /** The id that the company's own systems know the contact by. */
  readonly identifier: string | null;
  readonly blocked: boolean;
}

const columns = 'id, name, phone_number as phone, email, identifier, blocked';

/** Contacts of a company by id, in one query. */
export async function readContacts(
  sql: SqlExecutor,
  company: string,
  ids: readonly number[],
): Promise<ReadonlyMap<number, Contact>> {
  const { rows } = await sql.query<Contact>(
    `select ${columns} from contacts where id = any($1) and account_id = $2`,
    [ids, company],
  );
  return new Map(rows.map((contact) => [contact.id, contact]));
}

/** Contacts of a company by phone, in one query. */
export async function readContactsByPhone(
  sql: SqlExecutor,
  company: string,
  phones: readonly string[],
): Promise<ReadonlyMap<string, Contact>> {
  const { rows } = await sql.query<Contact & { phone: string }>(
    `select ${columns} from contacts where phone_number = any($1) and account_id = $2`,
    [phones, company],
  );
  return new Map(rows.map((contact) => [contact.phone, contact]));
}

/** Those who were active last; the ones that will write again first. */
export async function readActiveContacts(
  sql: SqlExecutor,
  company: string,
  count: number,
): Promise<readonly { readonly id: number; readonly phone: string }[]> {
  const { rows } = await sql.query<{ id: number; phone: string }>(
    `select id, phone_number as phone from contacts where account_id = $1 and phone_number is not null
     order by last_activity_at desc nulls last limit $2`,
    [company, count],
  );
  return rows;
}
