import type { SqlExecutor } from '@cachekit/core';
import type { InferDatabase } from '@cachekit/pg-matviews';
import type { tenantKpis } from './views.ts';

/** Indicators of one type in one month, as `pg` gives them: amounts are text, so that no cent is rounded. */
export type TenantKpi = InferDatabase<readonly [typeof tenantKpis]>['mv_tenant_kpis'];

/** The same of a month that is known already, as it is cached: JSON has no dates. */
export type MonthKpi = Omit<TenantKpi, 'tenant_id' | 'month'>;

/** What the indicators of a tenant are, of one month (`2026-03`) or of all. */
export async function kpisForTenant(sql: SqlExecutor, tenant: string, month?: string): Promise<TenantKpi[]> {
  const { rows } = await sql.query<TenantKpi>(
    `select * from mv_tenant_kpis where tenant_id = $1 and ($2::text is null or month = ($2 || '-01')::date) order by month, type`,
    [tenant, month ?? null],
  );
  return rows;
}

export async function kpisOfMonth(sql: SqlExecutor, tenant: string, month: string): Promise<MonthKpi[]> {
  const kpis = await kpisForTenant(sql, tenant, month);
  return kpis.map(({ tenant_id: _tenant, month: _month, ...kpi }) => kpi);
}
