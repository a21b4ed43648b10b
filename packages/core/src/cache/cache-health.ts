import type { CoherenceMode } from '../ports/coherence.ts';

/** What `cache.health()` tells. */
export interface CacheHealth {
  /**
   * `up`: everything works. `degraded`: reads are answered, by loaders or without the help of memory. `off`: switched
   * off, or closed.
   */
  readonly state: 'up' | 'degraded' | 'off';
  /** Absent without a remote tier. */
  readonly remote?: {
    readonly tier: string;
    readonly reachable: boolean;
    /** Of the call that asked; absent if it failed. */
    readonly roundTripMs?: number;
    /** Why it failed. */
    readonly error?: unknown;
  };
  /** Absent without a remote tier that tells what others change. */
  readonly coherence?: { readonly mode: CoherenceMode; readonly armed: boolean };
  /** Invalidations that still have to reach the remote tier; only with `onUnreached: 'repair'`. */
  readonly repairs?: number;
  /** Loads and refreshes under way in this process. */
  readonly loading: number;
}
