import type { TierClock } from '@cachekit/core';
import { keys } from './keys.ts';
import { type Reconciliation, reconcile } from './reconciliation.ts';
import type { Desk } from './wiring.ts';

/** What the cached customers of an office are; loaded where there are none. */
type DeskReads = Pick<Desk, 'sql' | 'cache' | 'customers'>;

/** Computes a reconciliation; of the customers only what is cached need be asked. */
export function loadReconciliation(
  { sql, cache, customers }: DeskReads,
  tenant: string,
  month: string,
): Promise<Reconciliation> {
  const customersOf = (): ReturnType<typeof customers.customers> =>
    cache.getOrLoad(keys.customers({ tenant }), () => customers.customers(tenant));
  return reconcile(sql, customersOf, tenant, month);
}

/**
 * Computes reconciliations before they are asked for, one process of all, and tells the browsers when each is there. Who
 * asks meanwhile waits for the same computation.
 */
export async function precompute(
  desk: Desk,
  tenant: string,
  months: readonly string[],
  clock: TierClock,
): Promise<void> {
  for (const month of months) {
    const { totals } = await desk.cache.refresh(keys.recon({ tenant, month }), () =>
      loadReconciliation(desk, tenant, month),
    );
    await desk.hub.publish([{ type: 'reconciliation_ready', tenant, data: { month, totals }, clock }]);
  }
}
