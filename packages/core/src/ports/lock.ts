/** A lock that is held. `fencingToken` grows with every holder of the same key. */
export interface Lease {
  readonly fencingToken: number;
  /** Aborts when the lease is lost or about to be. */
  readonly signal: AbortSignal;
  release(): Promise<void>;
}

/** Gives locks; after Kleppmann, only the fencing token protects what is written under one. */
export interface LockProvider {
  /** `undefined` when somebody else holds the lock and `wait` (ms or `"5s"`, default 0) is over. */
  acquire(key: string, options: { ttl: number | string; wait?: number | string }): Promise<Lease | undefined>;
}
