import type { Coherence, CoherenceMode, RedisExecutor, RemoteTier } from '@cachekit/core';

/** Options of `redisTier`. */
export interface RedisTierOptions {
  readonly redis: RedisExecutor;
  /**
   * Names the keys and the channel by which processes hear of changes; the same as that of the cache, which refuses any other.
   *
   * @defaultValue `'ck'`
   */
  readonly namespace?: string;
  /**
   * How memory hears of what others change.
   *
   * - `tracking`: the server tells of every change, also of those by other clients, of expiry and of eviction; one more
   *   connection per process, on a cluster one for each master.
   * - `pubsub`: each write is published by the very script that writes; one more connection per process.
   * - `log`: each script that writes also appends to a stream, which is read once a second; for clients that cannot
   *   subscribe. Not on a cluster.
   * - `ttl`: not at all; memory may serve an old value until it expires.
   *
   * @defaultValue `'tracking'`; `'pubsub'` where the client or the server cannot, see {@link RedisTier.onFallback};
   * `'log'` over Upstash
   */
  readonly coherence?: CoherenceMode;
}

/** What became of a coherence that the server refuses. */
export interface CoherenceFallback {
  readonly from: CoherenceMode;
  /** Absent: there is none, and memory is never trusted, so that every read asks Redis. */
  readonly to?: CoherenceMode;
  /** What the server said. */
  readonly reason: unknown;
}

/** The tier over Redis. */
export interface RedisTier extends RemoteTier {
  /** Its `mode` is the one that is used now. */
  readonly coherence: Coherence;
  /**
   * Calls `listener` when the server refuses the coherence that was meant, such as for a permission that is missing.
   *
   * @returns The function that ends it.
   */
  onFallback(listener: (fallback: CoherenceFallback) => void): () => void;
}
