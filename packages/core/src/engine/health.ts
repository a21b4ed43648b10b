import { distrust } from '../memory/tier.ts';
import type { CoherenceMode } from '../ports/coherence.ts';
import type { EngineParts } from './parts.ts';

/** What {@link Cache.health} tells. */
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

/** Asks the remote tier for its time and says what works. Never rejects. */
export async function health(parts: EngineParts, closed: boolean): Promise<CacheHealth> {
  const { remote, memory, clock, flights } = parts;
  let loading = 0;
  for (const flight of flights.live()) if (flight.phase === 'loading') loading++;
  const off = closed || !parts.enabled;
  if (remote === undefined || closed) return { state: off ? 'off' : 'up', loading };
  const sentAt = clock.now();
  let told: CacheHealth['remote'];
  try {
    await remote.attempt('time', (tier) => tier.time());
    told = { tier: remote.tier.name, reachable: true, roundTripMs: clock.now() - sentAt };
  } catch (error) {
    told = { tier: remote.tier.name, reachable: false, error };
  }
  const listening = remote.tier.coherence;
  const armed = memory.epoch !== distrust;
  const well = told.reachable && (listening === undefined || armed || memory.maxEntries === 0);
  return {
    state: off ? 'off' : well ? 'up' : 'degraded',
    remote: told,
    ...(listening === undefined ? {} : { coherence: { mode: listening.mode, armed } }),
    ...(parts.repairs === undefined ? {} : { repairs: parts.repairs.pending }),
    loading,
  };
}
