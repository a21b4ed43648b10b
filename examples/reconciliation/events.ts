import type { Reconciliation } from './reconciliation.ts';

/** What the browsers of an office are told. */
export type DeskEvents = {
  /** What a sync or a webhook brought is stored, and nothing older is cached. */
  sync_complete: { transactions: number };
  /** A reconciliation was computed ahead of time: to ask for it is a hit. */
  reconciliation_ready: Pick<Reconciliation, 'month' | 'totals'>;
};
