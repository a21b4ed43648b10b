import type { CacheKey } from '@cachekit/core';
import { withCache } from '@cachekit/core/http';
import { accountsOf } from '../accounts.ts';
import { keys } from '../keys.ts';
import { kpisOfMonth } from '../kpis.ts';
import { loadReconciliation } from '../precompute.ts';
import { readSettings } from '../settings.ts';
import { type TransactionFilter, transactionsOf } from '../transactions.ts';
import type { Desk } from '../wiring.ts';
import { Refusal } from './refusal.ts';
import { queryOf, tenantOf } from './request.ts';

type Handler = (request: Request) => Promise<Response>;

/** What an office reads, each by way of the cache; in Next every one of them is the `GET` of a route file. */
export function readRoutes(desk: Desk): Record<string, Handler> {
  const { sql, cache, customers } = desk;
  const cached = <T>(
    keyOf: (tenant: string, request: Request) => CacheKey<T>,
    load: (tenant: string, request: Request) => Promise<NoInfer<T>>,
  ): Handler =>
    withCache(cache, {
      key: (request) => keyOf(tenantOf(request), request),
      load: (request) => load(tenantOf(request), request),
    });

  return {
    'GET /api/settings': cached(
      (tenant) => keys.settings({ tenant }),
      (tenant) => readSettings(sql, tenant),
    ),
    'GET /api/accounts': cached(
      (tenant) => keys.accounts({ tenant }),
      (tenant) => accountsOf(sql, tenant),
    ),
    'GET /api/transactions': cached(
      (tenant, request) => keys.txns({ tenant, ...filterOf(request) }),
      (tenant, request) => transactionsOf(sql, tenant, filterOf(request)),
    ),
    'GET /api/customers': cached(
      (tenant) => keys.customers({ tenant }),
      (tenant) => customers.customers(tenant),
    ),
    'GET /api/reconciliation': cached(
      (tenant, request) => keys.recon({ tenant, month: monthOf(request) }),
      (tenant, request) => loadReconciliation(desk, tenant, monthOf(request)),
    ),
    'GET /api/kpis': cached(
      (tenant, request) => keys.kpis({ tenant, month: monthOf(request) }),
      (tenant, request) => kpisOfMonth(sql, tenant, monthOf(request)),
    ),
  };
}

/** The same filter gives the same entry, in whatever order it is written. */
function filterOf(request: Request): TransactionFilter {
  return {
    from: dayOf(request, 'from'),
    to: dayOf(request, 'to'),
    type: queryOf(request, 'type', /^(CREDIT|DEBIT)$/) as TransactionFilter['type'],
    page: Number(queryOf(request, 'page', /^[1-9]\d{0,4}$/) ?? 1),
  };
}

function monthOf(request: Request): string {
  const month = queryOf(request, 'month', /^[12]\d{3}-(0[1-9]|1[0-2])$/);
  if (month === undefined) throw new Refusal(400, 'Give the month, such as 2026-07');
  return month;
}

function dayOf(request: Request, name: string): string | undefined {
  const day = queryOf(request, name, /^[12]\d{3}-\d\d-\d\d$/);
  if (day === undefined) return undefined;
  const at = Date.parse(day);
  // A month has no 31st because a pattern does; another day would come out than went in.
  if (Number.isNaN(at) || !new Date(at).toISOString().startsWith(day))
    throw new Refusal(400, `${name} is no day`);
  return day;
}
