import type { TierError } from '../errors.ts';
import type { CoherenceMode } from '../ports/coherence.ts';
import type { TierClock } from '../ports/remote-tier.ts';

/** What a cache tells, by name of the event. Nothing is made for an event that nobody listens to. */
export interface CacheEvents {
  /** A load ended well. */
  load: { readonly key: string; readonly resource: string; readonly durationMs: number };
  /** A load failed or was given up; `servedStale` if the old value was served in its place. */
  loadError: {
    readonly key: string;
    readonly resource: string;
    readonly error: unknown;
    readonly servedStale: boolean;
  };
  /** A loaded value was not stored, because an invalidation or a write overtook its load. */
  commitRefused: { readonly key: string; readonly resource: string };
  /** A loaded value could not be encoded, copied or gone through: its callers have it, and memory does not keep it. */
  unstorable: { readonly key: string; readonly resource: string; readonly error: unknown };
  /** Something that is no entry stood at the key; it counts as a miss. */
  damaged: { readonly key: string; readonly resource: string; readonly error?: unknown };
  /** A call did not reach the remote tier. */
  tierError: { readonly operation: string; readonly error: TierError };
  /** The breaker keeps reads away from the remote tier, or no longer. */
  breaker: { readonly state: 'open' | 'closed' };
  /** Memory no longer hears what others change, or does again. */
  coherence: { readonly state: 'lost' | 'armed' };
  /**
   * The server refuses the way in which memory was to hear of changes. `to` is the next best one, which is used now;
   * absent, there is none, and memory is never trusted.
   */
  coherenceFallback: { readonly to?: CoherenceMode; readonly reason: unknown };
  /**
   * Invalidations that did not reach the remote tier: kept, all carried out, or lost because the cache was closed. Only
   * with `onUnreached: 'repair'`.
   */
  repair: { readonly state: 'pending' | 'done' | 'lost'; readonly pending: number };
  /** Keys, tags or all keys with a prefix were invalidated, or everything. */
  invalidate: {
    readonly keys?: readonly string[];
    readonly tags?: readonly string[];
    readonly prefix?: string;
    readonly all?: true;
    readonly clock: TierClock;
  };
}

/** The name of an event. */
export type CacheEventName = keyof CacheEvents;

/** A function that is called with every event of one name. */
export type CacheListener<Name extends CacheEventName> = (event: CacheEvents[Name]) => void;
