import type { KeyKind } from '../keys/wire-key.ts';
import type { TierClock } from '../ports/remote-tier.ts';

/** What `cache.eraseTenant()` did. */
export interface Erasure {
  /** Good as a `minClock`. */
  readonly clock: TierClock;
  /** How many keys of each kind were deleted from the remote tier. */
  readonly removed: Readonly<Record<KeyKind, number>>;
  /** Kinds that this cache cannot reach; all but `c` where there is no remote tier. */
  readonly unreached: readonly KeyKind[];
}
