import { avg, bucket, count, defineView, rollupsOf, sum } from '@cachekit/pg-matviews';
import type { Tables } from './schema.sql.ts';

const rollup = rollupsOf<Tables>();

/**
 * The indicators of a tenant by month and type; what the user ignores counts in some and not in others. Months are
 * those of the stored dates, which have no hour. A sync computes the months it touched, of the tenant it was for.
 */
export const tenantKpis = rollup({
  name: 'mv_tenant_kpis',
  from: 'pluggy_transactions',
  key: {
    tenant_id: 'tenant_id',
    month: bucket('date', 'month', { timeZone: 'UTC', storedIn: 'UTC' }),
    type: 'type',
  },
  measures: {
    tx_count: count().as('integer'),
    total_amount: sum('amount'),
    avg_amount: avg('amount').as('numeric(20,2)'),
    active_tx_count: count().where('not ignored').as('integer'),
    active_total_amount: sum('amount').where('not ignored'),
  },
  tenant: 'tenant_id',
});

/** The same as one stored view, for a server whose tables may not have triggers: each refresh computes all tenants. */
export const allTenantsKpis = defineView({
  name: 'mv_all_tenants_kpis',
  kind: 'materialized',
  query: `
    select
      tenant_id, date_trunc('month', date)::date as month, type,
      count(*)::integer as tx_count,
      sum(amount) as total_amount,
      avg(amount)::numeric(20,2) as avg_amount,
      (count(*) filter (where not ignored))::integer as active_tx_count,
      sum(amount) filter (where not ignored) as active_total_amount
    from pluggy_transactions
    group by 1, 2, 3`,
  indexes: [{ columns: ['tenant_id', 'month', 'type'], unique: true }],
  tenant: 'tenant_id',
  sources: { pluggy_transactions: { tenant: 'tenant_id' } },
  refresh: 'concurrently',
});

/** What the application keeps; with triggers. */
export const views = [tenantKpis];
