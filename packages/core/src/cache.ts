import { jsonCodec } from './codecs/json.ts';
import { coherenceSink } from './engine/coherence-sink.ts';
import { getOrLoad, read } from './engine/get-or-load.ts';
import { clear, invalidate, invalidateTags } from './engine/invalidate.ts';
import type { EngineParts, Outcome, ResourceState } from './engine/parts.ts';
import { RemoteCall } from './engine/remote-call.ts';
import { set } from './engine/set.ts';
import { Background } from './engine/steps/background.ts';
import { SingleFlight } from './engine/steps/single-flight.ts';
import { Waits } from './engine/steps/waits.ts';
import { TierTime } from './engine/tier-time.ts';
import { assertKnownOptions, CacheClosedError, ConfigurationError } from './errors.ts';
import { type CacheEventName, type CacheListener, Events } from './events.ts';
import { type CacheKey, type CacheTag, type KeyResource, namespaceTag } from './key-space.ts';
import type { Loader } from './loader.ts';
import { TagRecords } from './memory/tag-records.ts';
import { distrust, MemoryTier } from './memory/tier.ts';
import { type CacheMetricsSnapshot, Metrics } from './metrics.ts';
import { type CachePolicy, defaultPolicy, policyOptions, resolvePolicy } from './policy.ts';
import { type Clock, systemClock } from './ports/clock.ts';
import type { Codec } from './ports/codec.ts';
import type { RemoteTier, TierClock } from './ports/remote-tier.ts';
import type { ReadOptions } from './read-options.ts';
import { assertNamespace, defaultNamespace } from './wire-key.ts';

/** What {@link createCache} takes. */
export interface CacheOptions {
  /** That of the key spaces and of the remote tier. @defaultValue `"ck"` */
  readonly namespace?: string;
  /** The tier in this process; `false` for none. @defaultValue `{ maxEntries: 10_000 }` */
  readonly memory?: { readonly maxEntries?: number } | false;
  /** The tier that processes share, such as `redisTier()`. Closed with the cache. @defaultValue none: memory is all there is */
  readonly remote?: RemoteTier;
  /** For what the resources leave open. */
  readonly policy?: CachePolicy;
  /** How values are written in the remote tier. @defaultValue {@link jsonCodec} */
  readonly codec?: Codec;
  /** Where time comes from; a test gives its own. */
  readonly clock?: Clock;
  /** Numbers in `[0, 1)` for tokens, which need to differ and not to be secret. @defaultValue `Math.random` */
  readonly random?: () => number;
}

/** A value with what is known of it, as {@link Cache.read} gives it. */
export interface CacheRead<T> {
  readonly value: T;
  /** `miss`: a load was waited for. `stale`: no longer fresh, and served all the same. */
  readonly state: 'hit' | 'miss' | 'stale';
  /** When the load of the value began, by the clock of the tier. */
  readonly clock: TierClock;
  /** Time since then. */
  readonly ageMs: number;
  /** How long a value of this resource is fresh. */
  readonly ttlMs: number;
}

/**
 * A cache in front of whatever your loaders read. Made by {@link createCache}.
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

  /** As {@link Cache.getOrLoad}, and tells where the value came from and how old it is. */
  read<T>(key: CacheKey<T>, loader: Loader<NoInfer<T>>, options?: ReadOptions): Promise<CacheRead<T>>;

  /**
   * Stores a value; ends every load of the key that is under way.
   *
   * @returns The clock of the entry, good as a `minClock`.
   * @throws TierError `TIER_FAILED` if the remote tier was not reached. It then still holds what it held.
   * @throws ArgumentError `INVALID_ARGUMENT` for `undefined` and for what the codec cannot write.
   */
  set<T>(key: CacheKey<T>, value: NoInfer<T>, policy?: CachePolicy): Promise<TierClock>;

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

  /** As {@link Cache.invalidate}, for everything of the namespace. O(1) in the remote tier. */
  clear(): Promise<TierClock>;

  /** What was counted since the start or the last reset. */
  metrics(): CacheMetricsSnapshot;

  resetMetrics(): void;

  /** Calls `listener` at every event of that name. */
  on<Name extends CacheEventName>(name: Name, listener: CacheListener<Name>): void;

  off<Name extends CacheEventName>(name: Name, listener: CacheListener<Name>): void;

  /**
   * Lets what callers wait for end, aborts refreshes that nobody waits for, then closes the remote tier. Calls that come
   * later reject with CacheClosedError `CACHE_CLOSED`. Calling it again gives the same promise.
   */
  close(): Promise<void>;
}

/**
 * Makes a cache: memory in front of the remote tier in front of your loaders.
 *
 * Nothing connects before the first use, and no timer keeps the process alive.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for unknown options and values that no cache can work with.
 * @example
 * const cache = createCache({ policy: { staleIfError: '1h' } });
 */
export function createCache(options: CacheOptions = {}): Cache {
  return new EngineCache(options);
}

const cacheOptions = ['namespace', 'memory', 'remote', 'policy', 'codec', 'clock', 'random'];
const defaultMaxEntries = 10_000;

class EngineCache implements Cache {
  readonly namespace: string;
  readonly #parts: EngineParts;
  #used = false;
  #closing: Promise<void> | undefined;

  constructor(options: CacheOptions) {
    this.#parts = this.#build(options);
    this.namespace = this.#parts.namespace;
  }

  getOrLoad<T>(key: CacheKey<T>, loader: Loader<NoInfer<T>>, options?: ReadOptions): Promise<T> {
    return getOrLoad(this.#parts, key, loader as Loader<unknown>, options) as Promise<T>;
  }

  async read<T>(key: CacheKey<T>, loader: Loader<NoInfer<T>>, options?: ReadOptions): Promise<CacheRead<T>> {
    const outcome = await read(this.#parts, key, loader as Loader<unknown>, options);
    return cacheRead<T>(this.#parts, key, outcome);
  }

  set<T>(key: CacheKey<T>, value: NoInfer<T>, policy?: CachePolicy): Promise<TierClock> {
    return set(this.#parts, key, value, policy);
  }

  invalidate(...keys: readonly CacheKey[]): Promise<TierClock> {
    return invalidate(this.#parts, keys);
  }

  invalidateTags(...tags: readonly CacheTag[]): Promise<TierClock> {
    return invalidateTags(this.#parts, tags);
  }

  clear(): Promise<TierClock> {
    return clear(this.#parts);
  }

  metrics(): CacheMetricsSnapshot {
    const { memory, metrics, remote } = this.#parts;
    const { maxEntries, evictions } = memory;
    const snapshot = {
      cache: metrics.snapshot(),
      memory: { entries: memory.size, maxEntries, evictions, trusted: memory.epoch !== distrust },
      since: metrics.since,
    };
    if (remote === undefined) return snapshot;
    const state = remote.down ? 'down' : 'up';
    return { ...snapshot, remote: { tier: remote.tier.name, state, failures: metrics.remoteFailures } };
  }

  resetMetrics(): void {
    this.#parts.memory.evictions = 0;
    this.#parts.metrics.reset(this.#parts.clock.now());
  }

  on<Name extends CacheEventName>(name: Name, listener: CacheListener<Name>): void {
    this.#parts.events.on(name, listener);
  }

  off<Name extends CacheEventName>(name: Name, listener: CacheListener<Name>): void {
    this.#parts.events.off(name, listener);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { flights, background, memory, remote, events } = this.#parts;
    memory.clear();
    for (const flight of flights.live()) {
      if (!flight.wanted) flight.controller.abort(new CacheClosedError());
    }
    await background.drain();
    memory.clear();
    await remote?.tier.coherence?.close();
    await remote?.tier.close();
    events.removeAll();
  }

  #use(): void {
    if (this.#closing !== undefined) throw new CacheClosedError();
    if (this.#used) return;
    this.#used = true;
    this.#parts.remote?.tier.coherence?.start(coherenceSink(this.#parts));
  }

  #build(options: CacheOptions): EngineParts {
    assertKnownOptions('createCache', options, cacheOptions);
    const namespace = options.namespace ?? defaultNamespace;
    assertNamespace(namespace);
    const policy = resolvePolicy(knownPolicy(options.policy), defaultPolicy, 'createCache: policy');
    const clock = options.clock ?? systemClock;
    const events = new Events();
    const metrics = new Metrics(clock.now());
    const time = new TierTime(clock);
    // Memory that nobody else changes is always trusted; beside a remote tier it first has to hear what others change.
    const epoch = options.remote === undefined ? 1 : distrust;
    const tags = new TagRecords(options.remote === undefined ? 1 : -1);
    const states = new WeakMap<KeyResource, ResourceState>();
    return {
      namespace,
      everything: namespaceTag(namespace),
      clock,
      random: options.random ?? (() => Math.random()),
      codec: options.codec ?? jsonCodec,
      memory: new MemoryTier(maxEntriesOf(options.memory), epoch, (entry) => tags.release(entry.tags)),
      tags,
      flights: new SingleFlight(),
      background: new Background(),
      waits: new Waits(clock),
      time,
      events,
      metrics,
      remote: options.remote && new RemoteCall(options.remote, clock, time, events, metrics),
      resourceState: (resource) => {
        let state = states.get(resource);
        if (state === undefined) {
          const { name } = resource;
          state = {
            policy: resolvePolicy(resource.policy, policy, name),
            counters: metrics.countersOf(name),
          };
          states.set(resource, state);
        }
        return state;
      },
      use: () => this.#use(),
    };
  }
}

function cacheRead<T>(parts: EngineParts, key: CacheKey<T>, outcome: Outcome): CacheRead<T> {
  const { clock, state } = outcome;
  return {
    value: outcome.value as T,
    state,
    clock,
    ageMs: Math.max(0, parts.clock.now() - parts.time.toLocal(clock / 1_000)),
    ttlMs: parts.resourceState(key.resource).policy.ttlMs,
  };
}

function knownPolicy(policy: CachePolicy = {}): CachePolicy {
  if (typeof policy !== 'object' || policy === null) {
    throw new ConfigurationError(`createCache: policy takes a CachePolicy; got ${String(policy)}`);
  }
  assertKnownOptions('createCache: policy', policy, policyOptions);
  return policy;
}

function maxEntriesOf(memory: CacheOptions['memory']): number {
  if (memory === false) return 0;
  if (memory === undefined) return defaultMaxEntries;
  if (typeof memory !== 'object' || memory === null) {
    throw new ConfigurationError(`createCache: memory takes { maxEntries } or false; got ${String(memory)}`);
  }
  assertKnownOptions('createCache: memory', memory, ['maxEntries']);
  const { maxEntries = defaultMaxEntries } = memory;
  if (Number.isInteger(maxEntries) && maxEntries >= 1) return maxEntries;
  throw new ConfigurationError(
    `createCache: memory.maxEntries is a whole number of 1 or more; got ${maxEntries}`,
  );
}
