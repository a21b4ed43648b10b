import type { SqlExecutor } from '@cachekit/core';
import type { Customer } from './doubles/customers.ts';
import { createMatcher, type Match, type Payment } from './matching/match.ts';
import { readSettings } from './settings.ts';

/** A payment and whose it is. */
export interface ReconciledPayment extends Pick<Match, 'candidates'> {
  readonly id: string;
  readonly date: string;
  readonly amount: string;
  readonly payer: string | null;
  readonly description: string;
  readonly state: Match['state'] | 'confirmed';
}

/** What came in during a month, and from whom. */
export interface Reconciliation {
  readonly month: string;
  readonly totals: Readonly<Record<ReconciledPayment['state'], number>>;
  readonly payments: readonly ReconciledPayment[];
}

/**
 * Matches what came in during a month (`2026-07`) with customers: heavy, and therefore cached.
 *
 * Settings and what people decided are read from the database and not by way of the cache: an entry that is made of other
 * entries is as old as the oldest of them.
 */
export async function reconcile(
  sql: SqlExecutor,
  customersOf: (tenant: string) => Promise<readonly Customer[]>,
  tenant: string,
  month: string,
): Promise<Reconciliation> {
  const [{ weights }, payments, links, customers] = await Promise.all([
    readSettings(sql, tenant),
    paymentsIn(sql, tenant, month),
    linksOf(sql, tenant),
    customersOf(tenant),
  ]);
  const match = createMatcher(customers, weights, links);
  const totals = { confirmed: 0, matched: 0, ambiguous: 0, open: 0 };
  const reconciled = payments.map(({ confirmed, ...payment }): ReconciledPayment => {
    const { id, date, amount, payerName: payer, description } = payment;
    const { state, candidates } = confirmed
      ? { state: 'confirmed' as const, candidates: [] }
      : match(payment);
    totals[state]++;
    return { id, date, amount, payer, description, state, candidates };
  });
  return { month, totals, payments: reconciled };
}

interface StoredPayment extends Payment {
  readonly date: string;
  readonly confirmed: boolean;
}

async function paymentsIn(sql: SqlExecutor, tenant: string, month: string): Promise<StoredPayment[]> {
  const { rows } = await sql.query<StoredPayment>(
    `select t.id, to_char(t.date, 'YYYY-MM-DD') as date, t.amount::text, t.payer_name as "payerName", t.payer_cpf as "payerCpf",
       t.description, r.transaction_id is not null as confirmed
     from pluggy_transactions t
     left join reconciliation_records r on r.transaction_id = t.id and r.tenant_id = t.tenant_id and r.status = 'confirmed'
     where t.tenant_id = $1 and t.date >= ($2 || '-01')::date and t.date < ($2 || '-01')::date + interval '1 month'
       and t.type = 'CREDIT' and not t.ignored
     order by t.date, t.id`,
    [tenant, month],
  );
  return rows;
}

async function linksOf(sql: SqlExecutor, tenant: string): Promise<Map<string, string>> {
  const { rows } = await sql.query<{ payer_cpf: string; customer_id: string }>(
    'select payer_cpf, customer_id from client_mappings where tenant_id = $1',
    [tenant],
  );
  return new Map(rows.map(({ payer_cpf, customer_id }) => [payer_cpf, customer_id]));
}

/** Keeps that a payment is of a customer. @returns Whether the tenant has such a payment. */
export async function confirmPayment(
  sql: SqlExecutor,
  tenant: string,
  payment: string,
  customer: string,
): Promise<boolean> {
  const { rowCount } = await sql.query(
    `insert into reconciliation_records (tenant_id, transaction_id, customer_id, status)
     select tenant_id, id, $3, 'confirmed' from pluggy_transactions where tenant_id = $1 and id = $2
     on conflict (transaction_id) do update set customer_id = excluded.customer_id, status = excluded.status`,
    [tenant, payment, customer],
  );
  return rowCount > 0;
}

/** Keeps that a payer, by the eleven digits of a CPF, pays for a customer from now on. @returns Whether there is such an office. */
export async function linkPayer(
  sql: SqlExecutor,
  tenant: string,
  payerCpf: string,
  customer: string,
): Promise<boolean> {
  const { rowCount } = await sql.query(
    `insert into client_mappings (tenant_id, payer_cpf, customer_id) select id, $2, $3 from tenants where id = $1
     on conflict (tenant_id, payer_cpf) do update set customer_id = excluded.customer_id`,
    [tenant, payerCpf, customer],
  );
  return rowCount > 0;
}
