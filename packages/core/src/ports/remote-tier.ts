import type { Coherence } from './coherence.ts';

/**
 * A point in time as the remote tier counts it: microseconds since the epoch by the tier's own clock (Redis `TIME`),
 * never by a client's, and always growing. Without a remote tier a counter of the process has the same shape.
 */
export type TierClock = number;

/** What kind of answer an entry holds: a value, "does not exist", or a failure that is remembered for a moment. */
export type EntryKind = 'value' | 'negative' | 'error';

/** One stored entry. Times are milliseconds of the tier's clock; the payload is the codec's text. */
export interface RemoteEntry {
  readonly kind: EntryKind;
  /** When the load (or the `put`) began. An entry is older than everything invalidated after this. */
  readonly clock: TierClock;
  /** Until then the entry is fresh. */
  readonly freshUntil: number;
  /** Differs for every write of the key. */
  readonly version: string;
  /** How long the load took. */
  readonly loadMs: number;
  /** Wire keys of the tags. */
  readonly tags: readonly string[];
  readonly codec: string;
  readonly payload: string;
}

/** What a read of one key found. */
export type RemoteRead =
  | { readonly state: 'entry'; readonly entry: RemoteEntry }
  /** Somebody loads it now. `until`: when the lease runs out if it is not renewed, milliseconds of the tier's clock. */
  | { readonly state: 'leased'; readonly until: number }
  /** Nothing, or something that is no entry of a known format (`damaged`). */
  | { readonly state: 'absent'; readonly damaged?: true };

/** What a look at keys and tags found: that of each, in the order asked. */
export interface RemoteLook {
  readonly reads: readonly RemoteRead[];
  readonly versions: readonly (TierClock | undefined)[];
}

/** An attempt to become the loader of a key. */
export interface AcquireRequest {
  readonly key: string;
  /** Differs for every attempt. */
  readonly token: string;
  /** How long the lease lasts: five minutes at most, or it is taken for damage. */
  readonly leaseMs: number;
  /** Version of the entry that is to be replaced; it stays readable meanwhile. */
  readonly replaces?: string;
  /** The caller has not looked at the key: whatever is there, also what is damaged, stays, and the answer is `leased`. */
  readonly unseen?: true;
  readonly tags?: readonly string[];
}

/** What became of an attempt to become the loader of a key. */
export type Acquisition =
  /** The caller loads; `clock` is the clock of the load. */
  | { readonly state: 'acquired'; readonly clock: TierClock }
  /** Another process loads. */
  | { readonly state: 'leased' }
  /** A fresh value appeared meanwhile. */
  | { readonly state: 'entry'; readonly entry: RemoteEntry };

/** An entry on its way in. `ttlMs` is how long the tier keeps it: freshness plus every stale window. */
export interface CommitRequest {
  readonly key: string;
  /** The token the key was acquired with. */
  readonly token: string;
  readonly entry: RemoteEntry;
  readonly ttlMs: number;
}

/** What the tier can do; the engine chooses its way by these and never by the tier's name. */
export interface RemoteTierCapabilities {
  /** Commits are compared on the server, so that a load that was overtaken never lands. */
  readonly fenced: boolean;
  /** The coherence of the tier wakes waiters of other processes. */
  readonly push: boolean;
  /** Keys of different tenants cannot share one command. */
  readonly cluster: boolean;
}

/**
 * The tier that processes share.
 *
 * It is semantic, not get and set: the lease of a load lives in the value key, so that whatever touches the key (a
 * delete, a set, a tag, a foreign write) takes the lease away and the commit of the overtaken load is refused.
 *
 * An implementer promises, for every method: it rejects within the tier's timeout; it never throws synchronously; it
 * runs on any number of keys of any tenant (splitting by slot where it must) and answers in the order asked.
 */
export interface RemoteTier {
  readonly name: string;
  /** The one namespace that the tier serves, because what it hears of changes it hears by it. Absent: any. */
  readonly namespace?: string;
  readonly capabilities: RemoteTierCapabilities;
  readonly coherence?: Coherence;

  /**
   * Keys for which this is the same fail together, those for which it is not may fail apart, as on a cluster when one
   * master is dead. Absent: all keys fail together.
   */
  partOf?(key: string): string;

  /** The tier's present clock; asked once, so that a process whose own clock is wrong still reads times rightly. */
  time(): Promise<TierClock>;

  /** What is under each key, in the order asked. */
  getMany(keys: readonly string[]): Promise<readonly RemoteRead[]>;

  /** `getMany` and `tagVersions` by one call, which costs less than two. Absent: both are called at once. */
  look?(keys: readonly string[], tags: readonly string[]): Promise<RemoteLook>;

  /**
   * Asks to load `key`. Succeeds if the key is absent or damaged, if it holds an entry whose version is `replaces`
   * (a refresh: the old entry stays readable), or if the lease there has run out, would outlast every lease, or is one of
   * a key that does not expire, which no tier writes.
   *
   * Of `tags`, which the entry will carry, those that the tier does not know get the clock of this load. Otherwise the
   * first commit would make them known, and refuse every load that began before that one.
   */
  acquire(request: AcquireRequest): Promise<Acquisition>;

  /**
   * {@link RemoteTier.acquire} for many, in one call, in the order asked; an error where one alone failed.
   * Absent: they are asked for one by one.
   */
  acquireMany?(requests: readonly AcquireRequest[]): Promise<readonly (Acquisition | Error)[]>;

  /**
   * Stores the entry if `token` is still the holder and no tag of the entry was bumped after `entry.clock`. Tags that
   * the tier does not know are known from then on, with the clock of the entry. Either way the lease is over.
   *
   * @returns Whether it was stored. `false` means something overtook the load: its value must not be cached anywhere.
   */
  commit(request: CommitRequest): Promise<boolean>;

  /** {@link RemoteTier.commit} for many, as {@link RemoteTier.acquireMany}. */
  commitMany?(requests: readonly CommitRequest[]): Promise<readonly (boolean | Error)[]>;

  /**
   * Lets the lease of a load begin anew, so that a long load keeps it.
   *
   * @returns Whether `token` still held it. A lease that is gone is never made again: whatever took it away overtook
   * the load.
   */
  renew(key: string, token: string, leaseMs: number): Promise<boolean>;

  /** Gives a lease back without a value; no-op if it is no longer held. Wakes those who wait for the load. */
  release(key: string, token: string): Promise<void>;

  /**
   * Stores unconditionally, with the tier's present clock in place of `entry.clock`; ends any load under way. Tags that
   * the tier does not know are known from then on.
   *
   * `entry.clock` is about when it was asked for. A tier that may carry out a put whose caller has been told that it failed
   * refuses it by this: it would undo what others wrote meanwhile.
   */
  put(key: string, entry: RemoteEntry, ttlMs: number): Promise<TierClock>;

  /** Removes keys and ends every load of them that is under way. */
  delete(keys: readonly string[]): Promise<TierClock>;

  /** Makes entries stale without removing them: fresh no more, still good for `staleIfError`. Ends loads under way. */
  expire(keys: readonly string[]): Promise<TierClock>;

  /** Prolongs an entry that was found unchanged, if it still has this version, and ends the refresh that found so. */
  touch(key: string, version: string, freshUntil: number, ttlMs: number): Promise<boolean>;

  /** Clock of the last bump of each tag; `undefined` for one the tier does not know, which means: distrust. */
  tagVersions(tags: readonly string[]): Promise<readonly (TierClock | undefined)[]>;

  /** Every entry that carries one of the tags and whose load began before now is invalid from now on. */
  bumpTags(tags: readonly string[]): Promise<TierClock>;

  /** Keys that begin with the literal `prefix`, in batches. O(keys in the tier). */
  scan(prefix: string): AsyncIterable<readonly string[]>;

  /** Ends what the tier opened; the client of the user stays open. */
  close(): Promise<void>;
}
