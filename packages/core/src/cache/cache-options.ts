import type { Sharing } from '../memory/sharing.ts';
import type { CachePolicy } from '../policy.ts';
import type { Clock } from '../ports/clock.ts';
import type { Codec } from '../ports/codec.ts';
import type { RemoteTier } from '../ports/remote-tier.ts';

/** How much memory keeps, and how. */
export interface MemoryOptions {
  /** A whole number of 1 or more. @defaultValue 10_000 */
  readonly maxEntries?: number;
  /**
   * How much the entries may take together, about: what their values take is guessed, by their text where they come from
   * a remote tier and by going through them where they do not. A value that alone takes more is given to its callers and
   * not kept in memory. @defaultValue no bound
   */
  readonly maxBytes?: number;
  /** What callers have of a value that memory holds. @defaultValue `"freeze"` */
  readonly share?: Sharing;
}

/** What `createCache` takes. */
export interface CacheOptions {
  /** That of the key spaces and of the remote tier. @defaultValue `"ck"` */
  readonly namespace?: string;
  /** The tier in this process; `false` for none. @defaultValue `{ maxEntries: 10_000 }` */
  readonly memory?: MemoryOptions | false;
  /**
   * The tier that processes share, such as `redisTier()`, of the same namespace. It is for one cache, with which it is
   * closed; a second one would not hear of changes, and so keep nothing in memory.
   *
   * @defaultValue none: memory is all there is
   */
  readonly remote?: RemoteTier;
  /** For what the resources leave open. */
  readonly policy?: CachePolicy;
  /**
   * What becomes of an invalidation that does not reach the remote tier.
   *
   * - `reject`: the call rejects with `TIER_FAILED`; the caller decides.
   * - `repair`: the call resolves, and the invalidation is carried out as soon as the tier answers; until then this
   *   process takes nothing from the tier. Other processes see the old value until then, and for good if this one dies.
   *
   * @defaultValue `"reject"`
   */
  readonly onUnreached?: 'reject' | 'repair';
  /** How values are written in the remote tier. @defaultValue `jsonCodec` */
  readonly codec?: Codec;
  /** Where time comes from; a test gives its own. */
  readonly clock?: Clock;
  /** Numbers in `[0, 1)` for tokens, which need to differ and not to be secret. @defaultValue `Math.random` */
  readonly random?: () => number;
}
