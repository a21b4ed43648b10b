import type { Cache, SqlExecutor } from '@cachekit/core';
import { readContactsByPhone } from './contacts.ts';
import { keys, type Verdict } from './keys.ts';

/** A line of the file that somebody uploads. */
export interface ImportRow {
  readonly name: string;
  readonly phone: string;
}

/** A row with what is to become of it. */
export interface JudgedRow extends ImportRow {
  /** `malformed` is no phone number, `twice` is in the file already. */
  readonly verdict: Verdict | 'malformed' | 'twice';
}

const batch = 500;
const e164 = /^\+[1-9]\d{6,14}$/;

/** Says of each row of a file whether it may be imported: in batches, each of which is one query at most. */
export async function validateImport(
  cache: Cache,
  sql: SqlExecutor,
  company: string,
  rows: readonly ImportRow[],
): Promise<readonly JudgedRow[]> {
  const phones = [...new Set(rows.map(({ phone }) => phone).filter((phone) => e164.test(phone)))];
  const verdicts = new Map<string, Verdict | null>();
  for (let start = 0; start < phones.length; start += batch) {
    const some = phones.slice(start, start + batch);
    const found = await cache.getManyOrLoad(
      some,
      (phone) => keys.validations({ tenant: company, phone }),
      (missing) => readVerdicts(sql, company, missing),
    );
    for (const [index, phone] of some.entries()) verdicts.set(phone, found[index] ?? null);
  }
  const seen = new Set<string>();
  return rows.map((row) => {
    const verdict = seen.has(row.phone) ? 'twice' : (verdicts.get(row.phone) ?? 'malformed');
    seen.add(row.phone);
    return { ...row, verdict };
  });
}

/** Of one phone or many, in one query. */
export async function readVerdicts(
  sql: SqlExecutor,
  company: string,
  phones: readonly string[],
): Promise<readonly Verdict[]> {
  const known = await readContactsByPhone(sql, company, phones);
  return phones.map((phone) => {
    const contact = known.get(phone);
    if (contact === undefined) return 'new';
    return contact.blocked ? 'blocked' : 'known';
  });
}

/** Writes the rows that are new, in one statement. */
export async function importNew(
  sql: SqlExecutor,
  company: string,
  rows: readonly JudgedRow[],
): Promise<number> {
  const fresh = rows.filter(({ verdict }) => verdict === 'new');
  const { rowCount } = await sql.query(
    `insert into contacts (account_id, name, phone_number, created_at, updated_at)
     select $1, name, phone, now() at time zone 'UTC', now() at time zone 'UTC'
     from unnest($2::text[], $3::text[]) as fresh (name, phone)`,
    [company, fresh.map(({ name }) => name), fresh.map(({ phone }) => phone)],
  );
  return rowCount;
}
