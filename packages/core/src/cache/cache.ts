import type { CacheKey, CacheTag } from '../keys/cache-key.ts';
import type { CacheMetricsSnapshot } from '../metrics/metrics.ts';
import type { CachePolicy } from '../policy.ts';
import type { TierClock } from '../ports/remote-tier.ts';
import type { CacheEventName, CacheListener } from './cache-events.ts';
import type { CacheHealth } from './cache-health.ts';
import type { Erasure } from './erasure.ts';
import type { IndexedRead } from './indexed-read.ts';
import type { Inspection } from './inspection.ts';
import type { Loader, ManyLoader } from './loader.ts';
import type { GetOptions, ReadOptions } from './read-options.ts';
import type { WarmOptions, WarmProgress } from './warm-up.ts';

/** A value with what is known of it, as {@link Cache.read} gives it. */
export interface CacheRead<T> {
  readonly value: T;
  /** `miss`: a load was waited for. `stale`: no longer fresh, and served all the same. */
  readonly state: 'hit' | 'miss' | 'stale';
  /** When the load of the value began, by the clock of the tier. */
  readonly clock: TierClock;
  /** Time since then. */
  readonly ageMs: number;
  /**
   * How long the value is fresh, as its loader, `set()` or the policy said, to a few milliseconds; 0 for a value that an
   * invalidation overtook while it was loaded.
   */
  readonly ttlMs: number;
}

/** A value as JSON with what is known of it, as {@link Cache.getRaw} and {@link Cache.readRaw} give it. */
export interface CacheRaw extends Omit<CacheRead<unknown>, 'value'> {
  readonly text: string;
}

/**
 * A cache in front of whatever your loaders read. Made by `createCache()`.
 *
 * Reads never fail because of the cache: what the remote tier cannot say, the loader says.
 */
export interface Cache {
  /** The first part of every key. */
  readonly namespace: string;

  /**
   * Returns the cached value of `key`, or runs `loader` once and caches what it gives.
   *
   * While a loader runs for a key, every other call for that key in this process waits for the same promise; with a
   * remote tier, so do the other processes. Nobody waits for a value that is only stale. What an invalidation overtakes
   * is given to those who asked before it and stored nowhere.
   *
   * | the entry is                     | you get                              | the loader runs   |
   * | -------------------------------- | ------------------------------------ | ----------------- |
   * | fresh                            | the value                            | no                |
   * | within `staleWhileRevalidate`    | that value                           | in the background |
   * | expired, and the loader fails    | the old value, within `staleIfError` | yes               |
   * | absent, or older than `minClock` | the loaded value                     | yes               |
   *
   * @param key - From `defineKeys()`, of the namespace of this cache.
   * @param loader - `null` means "does not exist" and is kept for `negativeTtl`; `undefined` is refused.
   * @param options - A policy for this call over that of the resource, `minClock` and `signal`.
   * @returns The value; from memory the very same object each time, therefore frozen (plain objects and arrays are).
   * @throws LoadTimeoutError `LOAD_TIMEOUT` if the load outlasts `timeout.hard` and nothing old may be served.
   * @throws ArgumentError `INVALID_ARGUMENT` for a key of another namespace, unknown options, and `undefined` from the loader.
   * @throws CacheClosedError `CACHE_CLOSED` after `close()`.
   * @throws Whatever `loader` throws, unchanged, if nothing old may be served; the reason of `signal` when it aborts.
   * @see RFC 5861 (stale-while-revalidate, stale-if-error)
   * @example
   * const devices = await cache.getOrLoad(keys.devices({ tenant }), ({ signal }) => loadDevices(tenant, signal));
   */
  getOrLoad<T>(key: CacheKey<T>, loader: Loader<NoInfer<T>>, options?: ReadOptions): Promise<T>;

  /**
   * Returns the value of `key` if a tier has one that is fresh or within `staleWhileRevalidate`, and `undefined` if not;
   * `null` is a stored "does not exist". Loads nothing, and never rejects because of a tier.
   */
  get<T>(key: CacheKey<T>, options?: GetOptions): Promise<T | undefined>;

  /** What memory would answer with, at once; `undefined` if it would have to ask. Counts nothing. */
  peek<T>(key: CacheKey<T>): T | undefined;

  /** Whether {@link Cache.get} would give a value. */
  has(key: CacheKey, options?: GetOptions): Promise<boolean>;

  /** As {@link Cache.get} for many keys, in the order asked; one read of the remote tier for all that memory has not. */
  getMany<T>(keys: readonly CacheKey<T>[], options?: GetOptions): Promise<(T | undefined)[]>;

  /**
   * As {@link Cache.getOrLoad} for many ids, with one call of `loader` for all that are neither cached nor being loaded.
   *
   * The answer has the order of `ids`, duplicates included. Each id is loaded as a read of its key alone would load it:
   * such reads join, leases and fences are its own. A call may be followed by another for ids whose load by somebody
   * else has failed.
   *
   * @param ids - What the keys are made of, and what the loader is called with.
   * @param key - The key of an id.
   * @param loader - Gives a `Map` by id or an array in the order of its ids; what is missing does not exist (`null`).
   * @throws Whatever `loader` throws, unchanged; ArgumentError `INVALID_ARGUMENT` for a result that is neither.
   * @example
   * const contacts = await cache.getManyOrLoad(ids, (id) => keys.contact({ tenant, id }), (missing) => loadContacts(missing));
   */
  getManyOrLoad<T, Id>(
    ids: readonly Id[],
    key: (id: Id) => CacheKey<T>,
    loader: ManyLoader<Id, NoInfer<T>>,
    options?: ReadOptions,
  ): Promise<(T | null)[]>;

  /**
   * Reads an entry by something else than its key: `index` leads to an id, the id to the one entry.
   *
   * The index holds the id alone, so invalidating the entry is enough. An index that no longer fits (`matches`) is
   * looked up once more, so that a phone that went from one contact to another leads to the right one; an entry that is older
   * than the index and does not fit is loaded once more.
   *
   * @returns The value, or `null` if the index leads nowhere.
   * @example
   * const contact = await cache.getOrLoadVia(keys.contactByPhone({ tenant, phone }), {
   *   find: () => findContactId(phone),
   *   key: (id) => keys.contact({ tenant, id }),
   *   load: (id) => loadContact(id),
   *   matches: (contact) => contact.phone === phone,
   * });
   */
  getOrLoadVia<Id, T>(
    index: CacheKey<Id>,
    how: IndexedRead<NonNullable<Id>, T>,
    options?: ReadOptions,
  ): Promise<T | null>;

  /**
   * Loads `key` now, also while it is fresh, and stores the value: for what is computed before it is asked for.
   *
   * One process of all does it: who calls while a load is under way waits for that one. The value that is there stays
   * readable meanwhile.
   *
   * @throws Whatever `loader` throws, unchanged; what is stored stays as it was.
   */
  refresh<T>(key: CacheKey<T>, loader: Loader<NoInfer<T>>, options?: ReadOptions): Promise<T>;

  /** Loads in batches what is not there yet, and tells how far it is. A batch that fails is left for the reads. */
  warm<T, Id>(options: WarmOptions<Id, T>): Promise<WarmProgress>;

  /**
   * Makes a function that answers from the cache.
   *
   * @example
   * const devicesOf = cache.wrap((tenant: string) => keys.devices({ tenant }), loadDevices);
   */
  wrap<T, Args extends readonly unknown[]>(
    key: (...args: Args) => CacheKey<T>,
    load: (...args: Args) => NoInfer<T> | Promise<NoInfer<T>>,
    options?: CachePolicy,
  ): (...args: Args) => Promise<T>;

  /** As {@link Cache.getOrLoad}, and tells where the value came from and how old it is. */
  read<T>(key: CacheKey<T>, loader: Loader<NoInfer<T>>, options?: ReadOptions): Promise<CacheRead<T>>;

  /**
   * As {@link Cache.read}, and gives the value as JSON text, for a response.
   *
   * The text of a value in memory is made once. Without memory (`memory: false`), and with JSON as codec and no schema,
   * the text is the one that the remote tier holds, which nobody parses.
   */
  readRaw<T>(key: CacheKey<T>, loader: Loader<NoInfer<T>>, options?: ReadOptions): Promise<CacheRaw>;

  /** As {@link Cache.get}, and gives the value as JSON text, as {@link Cache.readRaw} does; `"null"` is "does not exist". */
  getRaw(key: CacheKey, options?: GetOptions): Promise<CacheRaw | undefined>;

  /**
   * Stores a value; ends every load of the key that is under way.
   *
   * @returns The clock of the entry, good as a `minClock`.
   * @throws TierError `TIER_FAILED` if the remote tier was not reached. It then still holds what it held.
   * @throws ArgumentError `INVALID_ARGUMENT` for `undefined` and for what the codec cannot write.
   */
  set<T>(key: CacheKey<T>, value: NoInfer<T>, policy?: CachePolicy): Promise<TierClock>;

  /**
   * As {@link Cache.set} for many entries, of which the last of each key counts. All are checked and encoded before the
   * first is stored; if the tier fails on the way, some may be stored.
   */
  setMany<T>(entries: Iterable<readonly [CacheKey<T>, NoInfer<T>]>, policy?: CachePolicy): Promise<TierClock>;

  /** The same as {@link Cache.invalidate}, under the name that a map has for it. */
  delete(...keys: readonly CacheKey[]): Promise<TierClock>;

  /**
   * Removes entries, and makes every load of them that is under way land nowhere.
   *
   * Once it resolves, no read of this process and no read that reaches the remote tier gives an older value; other
   * processes follow as soon as they hear of it.
   *
   * @returns The clock of the invalidation, good as a `minClock`.
   * @throws TierError `TIER_FAILED` if the remote tier was not reached. Memory of this process is dropped all the same.
   */
  invalidate(...keys: readonly CacheKey[]): Promise<TierClock>;

  /** As {@link Cache.invalidate}, for every entry that carries one of the tags. O(tags), whatever the number of entries. */
  invalidateTags(...tags: readonly CacheTag[]): Promise<TierClock>;

  /**
   * As {@link Cache.invalidate}, for every key that begins with the literal `prefix`. Goes through all keys of the remote
   * tier without blocking it: tags are for what happens often.
   *
   * @param prefix - Begins with `<namespace>:c:`, as `tenantPrefix()` makes it.
   */
  invalidatePrefix(prefix: string): Promise<TierClock>;

  /** As {@link Cache.invalidate}, for everything of the namespace. O(1) in the remote tier. */
  clear(): Promise<TierClock>;

  /**
   * Deletes everything that is kept under keys of the tenant, of every kind: entries and tags, limits, events, sessions,
   * presence, locks and counters. O(keys in the remote tier).
   *
   * Out of its reach: keys of no tenant, and what other stores than the remote tier hold. A load that begins while it
   * runs may store what it finds.
   *
   * @throws TierError `TIER_FAILED` if the remote tier failed on the way; what was deleted stays deleted, so call again.
   */
  eraseTenant(tenant: string): Promise<Erasure>;

  /** Says what a read of the key would do now and why. Changes nothing and counts nothing. */
  inspect(key: CacheKey): Promise<Inspection>;

  /**
   * Asks the remote tier and says what works. Never rejects. As a first read does, the first call begins to listen to what
   * others change, which takes a moment: until then it is `degraded`.
   */
  health(): Promise<CacheHealth>;

  /** Whether the cache is switched on, as it is at first. */
  readonly enabled: boolean;

  /**
   * Switches the cache of this process off, for the moment when one wants to know whether it is to blame: every read
   * goes to its own loader, `get` gives nothing, `set` only removes. Invalidations are carried out as ever, because other
   * processes rely on them.
   */
  switchOff(): void;

  /** Ends {@link Cache.switchOff}. Memory begins empty. Does nothing after {@link Cache.close}. */
  switchOn(): void;

  /** What was counted since the start or the last reset. */
  metrics(): CacheMetricsSnapshot;

  /** Counts from zero again; what is cached stays. */
  resetMetrics(): void;

  /** Calls `listener` at every event of that name. */
  on<Name extends CacheEventName>(name: Name, listener: CacheListener<Name>): void;

  /** Ends what {@link Cache.on} began with the same listener. */
  off<Name extends CacheEventName>(name: Name, listener: CacheListener<Name>): void;

  /**
   * Lets what callers wait for end, aborts refreshes that nobody waits for, then closes the remote tier. Calls that come
   * later reject with CacheClosedError `CACHE_CLOSED`. Calling it again gives the same promise.
   */
  close(): Promise<void>;
}
