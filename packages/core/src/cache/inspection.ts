import type { ResolvedPolicy } from '../policy.ts';
import type { TierClock } from '../ports/remote-tier.ts';

/** What a tier has of a key. */
export interface InspectedEntry {
  /** By age alone. */
  readonly life: 'fresh' | 'stale' | 'last-resort' | 'absent';
  /** Whether it may be served at all; if not, `why` of the inspection says what is against it. */
  readonly trusted: boolean;
  readonly kind: 'value' | 'negative' | 'error';
  /** When its load began, by the clock of the tier. */
  readonly clock: TierClock;
  readonly ageMs: number;
  /** Negative once it is no longer fresh. */
  readonly freshForMs: number;
}

/** What `cache.inspect()` tells of a key. */
export interface Inspection {
  readonly key: string;
  readonly resource: string;
  readonly policy: ResolvedPolicy;
  /** What a read of now would be. */
  readonly would: 'hit' | 'stale' | 'miss';
  /** Why, in a sentence. */
  readonly why: string;
  readonly memory: InspectedEntry | undefined;
  readonly remote: InspectedEntry | undefined;
  /** The tags of the key and of the entry, with the clock of their last invalidation where it is known. */
  readonly tags: readonly { readonly tag: string; readonly version: TierClock | undefined }[];
  /** Who loads the key at the moment. */
  readonly loading: 'here' | 'elsewhere' | undefined;
}
