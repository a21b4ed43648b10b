import type { CachePolicy } from '../policy.ts';

/** A kind of value that is cached: what its metrics are counted under and the policy of its entries. */
export interface KeyResource {
  readonly name: string;
  readonly namespace: string;
  readonly policy: CachePolicy;
  /** Gives what a value read from the remote tier is good for, or throws, which makes it a miss. Absent: as it is. */
  readonly check?: (stored: unknown) => unknown;
}

/**
 * The key of one entry, made by `defineKeys()`.
 *
 * `T` is the type of the value; nothing of that type is in the key itself.
 */
export interface CacheKey<T = unknown> {
  /** The key as it stands in Redis. */
  readonly wire: string;
  readonly resource: KeyResource;
  /** Wire keys of the tags that every entry of this key carries. */
  readonly tags: readonly string[];
  /** Never there: only carries the type. */
  readonly value?: T;
}

/** A name that entries carry, to invalidate all of them at once; made by the `tag` of a key space. */
export interface CacheTag {
  /** The tag as it stands in Redis. */
  readonly wire: string;
  /** Never there: a key is no tag. */
  readonly resource?: never;
}
