/** How the memory tiers of other processes hear of a change. */
export type CoherenceMode = 'tracking' | 'pubsub' | 'log' | 'ttl';

/** The memory tier, as a coherence sees it. Keys are wire keys of entries and of tags alike. */
export interface CoherenceSink {
  /**
   * Somebody (possibly this process) changed these keys.
   *
   * @param version - Of the entry that was written, where the coherence knows it. Memory that holds this very version
   * goes on trusting it, so that a process is not made to read again what it has just written.
   */
  changed(keys: readonly string[], version?: string): void;
  /** Whether anything here depends on the key, so that it is worth knowing which version it has. Absent: it may be. */
  holds?(key: string): boolean;
  /** Somebody dropped everything. */
  changedAll(): void;
  /** From now on changes may be missed: nothing in memory is fresh until `armed`. */
  lost(): void;
  /** From now on every change is heard; what memory held before must be checked against the remote tier by version. */
  armed(): void;
  /**
   * From now on every change is heard, and all that were missed since `lost` have been told: what memory held is to be
   * trusted as before. Where the sink does not know it, `armed` is told instead.
   */
  resumed?(): void;
  /**
   * The server refuses the way that was meant, and the next best one is taken.
   *
   * @param to - Nothing: there is none, and memory is never trusted.
   */
  fellBack?(to: CoherenceMode | undefined, reason: unknown): void;
}

/**
 * Tells the memory tier what others changed, and when it can no longer know.
 *
 * An implementer promises: `lost` before the first unheard change could be served, `armed` only once every later
 * change will be heard. Before the first `armed` nothing in memory is trusted.
 */
export interface Coherence {
  readonly mode: CoherenceMode;
  /** Connects lazily: called with the first use of the cache, never at construction. */
  start(sink: CoherenceSink): void;
  /** Ends the connection it opened; the sink hears nothing more. */
  close(): Promise<void>;
}
