import { defineKeys, resource } from '@cachekit/core';
import type { Account } from './accounts.ts';
import type { Customer } from './doubles/customers.ts';
import type { MonthKpi } from './kpis.ts';
import type { Reconciliation } from './reconciliation.ts';
import type { Settings } from './settings.ts';
import type { TransactionFilter, TransactionPage } from './transactions.ts';

/** What is cached of an office, by what an entry differs, and for how long it is fresh. */
export const keys = defineKeys({
  scope: 'tenant',
  resources: {
    settings: resource<Settings>({ ttl: '300s' }),
    accounts: resource<readonly Account[]>({ ttl: '120s' }),
    txns: resource<TransactionPage, TransactionFilter>({ ttl: '60s' }),
    customers: resource<readonly Customer[]>({ ttl: '600s' }),
    recon: resource<Reconciliation, { month: string }>({ ttl: '30s', tags: ['recon'] }),
    kpis: resource<readonly MonthKpi[], { month: string }>({ ttl: '120s' }),
  },
});
