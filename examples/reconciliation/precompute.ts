import type { TierClock } from '@cachekit/core';
import { keys } from './keys.ts';
import { type Reconciliation, reconcile } from './reconciliation.ts';
import type { Desk } from './wiring.ts';

/** What a reconciliation is computed from. */
type DeskReads = Pick<Desk, 'sql' | 'cache' | 'customers'>;

/** Computes a reconciliation, with the customers that are cached. */
export function loadReconciliation(
  { sql, cache, customers }: DeskReads,
  tenant: string,
  month: string,
): Promise<Reconciliation> {
  const customersOf = (): ReturnType<typeof customers.customers> =>
    cache.getOrLoad(keys.customers({ tenant }), () => customers.customers(tenant));
  return reconcile(sql, customersOf, tenant, month);
}

/** What is computed ahead of time, and after which sync. */
interface Ahead {
  readonly months: readonly string[];
  readonly clock: TierClock;
  readonly origin: string;
}

/**
 * Computes reconciliations before they are asked for, one process of all, and tells the browsers when each is there. Who
 * asks meanwhile waits for the same computation.
 */
export async function precompute(
  desk: Desk,
  tenant: string,
  { months, clock, origin }: Ahead,
): Promise<void> {
  for (const month of months) {
    const { totals } = await desk.cache.refresh(keys.recon({ tenant, month }), () =>
      loadReconciliation(desk, tenant, month),
    );
    const data = { month, totals };
    await desk.hub.publish([
      { type: 'reconciliation_ready', tenant, data, clock, origin: `${origin} ${month}` },
    ]);
  }
}
