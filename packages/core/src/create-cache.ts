import type { Cache, CacheRaw, CacheRead } from './cache/cache.ts';
import type { CacheEventName, CacheEvents, CacheListener } from './cache/cache-events.ts';
import type { CacheHealth } from './cache/cache-health.ts';
import type { Erasure } from './cache/erasure.ts';
import type { IndexedRead } from './cache/indexed-read.ts';
import type { Inspection } from './cache/inspection.ts';
import type { Loader, ManyLoader } from './cache/loader.ts';
import type { GetOptions, ReadOptions } from './cache/read-options.ts';
import type { WarmOptions, WarmProgress } from './cache/warm-up.ts';
import { jsonCodec } from './codecs/json.ts';
import { coherenceSink } from './engine/coherence-sink.ts';
import { eraseTenant } from './engine/erase-tenant.ts';
import { acquiresOf } from './engine/fly.ts';
import { getManyOrLoad } from './engine/get-many-or-load.ts';
import { getOrLoad, read } from './engine/get-or-load.ts';
import { get, getMany, peek } from './engine/glance.ts';
import { health } from './engine/health.ts';
import { inspect } from './engine/inspect.ts';
import { clear, deletePrefix, invalidate, invalidatePrefix, invalidateTags } from './engine/invalidate.ts';
import { commitsOf, leasesOf } from './engine/load.ts';
import type { EngineParts, Outcome, ResourceState } from './engine/parts.ts';
import { getRaw, type RawOutcome, readRaw } from './engine/raw.ts';
import { asArgument } from './engine/read-request.ts';
import { refresh } from './engine/refresh.ts';
import { RemoteCall } from './engine/remote-call.ts';
import { Repairs } from './engine/repairs.ts';
import { set, setMany } from './engine/set.ts';
import { Background } from './engine/steps/background.ts';
import { Failures } from './engine/steps/failures.ts';
import { Looks } from './engine/steps/looks.ts';
import { Readings } from './engine/steps/readings.ts';
import { SingleFlight } from './engine/steps/single-flight.ts';
import { Timeouts } from './engine/steps/timeouts.ts';
import { epochOf } from './engine/steps/trust.ts';
import { TierTime } from './engine/tier-time.ts';
import { Tokens } from './engine/tokens.ts';
import { viaIndex } from './engine/via-index.ts';
import { warm } from './engine/warm.ts';
import { ArgumentError, assertKnownOptions, CacheClosedError, ConfigurationError } from './errors.ts';
import { Events } from './events.ts';
import type { CacheKey, CacheTag, KeyResource } from './keys/cache-key.ts';
import { assertNamespace, defaultNamespace } from './keys/wire-key.ts';
import { namespaceTag } from './keys/wire-tag.ts';
import { CoarseClock } from './memory/coarse-clock.ts';
import type { Sharing } from './memory/sharing.ts';
import { TagRecords } from './memory/tag-records.ts';
import { distrust, MemoryTier } from './memory/tier.ts';
import { type CacheMetricsSnapshot, Metrics } from './metrics/metrics.ts';
import { type CachePolicy, defaultPolicy, policyOptions, resolvePolicy } from './policy.ts';
import { type Clock, systemClock } from './ports/clock.ts';
import type { Codec } from './ports/codec.ts';
import type { RemoteTier, TierClock } from './ports/remote-tier.ts';

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

/** What {@link createCache} takes. */
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
  /** How values are written in the remote tier. @defaultValue {@link jsonCodec} */
  readonly codec?: Codec;
  /** Where time comes from; a test gives its own. */
  readonly clock?: Clock;
  /** Numbers in `[0, 1)` for tokens, which need to differ and not to be secret. @defaultValue `Math.random` */
  readonly random?: () => number;
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

const cacheOptions = ['namespace', 'memory', 'remote', 'policy', 'onUnreached', 'codec', 'clock', 'random'];
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

  async readRaw<T>(key: CacheKey<T>, loader: Loader<NoInfer<T>>, options?: ReadOptions): Promise<CacheRaw> {
    return cacheRaw(this.#parts, key, await readRaw(this.#parts, key, loader as Loader<unknown>, options));
  }

  async getRaw(key: CacheKey, options?: GetOptions): Promise<CacheRaw | undefined> {
    const raw = await getRaw(this.#parts, key, options);
    return raw && cacheRaw(this.#parts, key, raw);
  }

  set<T>(key: CacheKey<T>, value: NoInfer<T>, policy?: CachePolicy): Promise<TierClock> {
    return set(this.#parts, key, value, policy);
  }

  get<T>(key: CacheKey<T>, options?: GetOptions): Promise<T | undefined> {
    return get(this.#parts, key, options) as Promise<T | undefined>;
  }

  peek<T>(key: CacheKey<T>): T | undefined {
    return peek(this.#parts, key) as T | undefined;
  }

  async has(key: CacheKey, options?: GetOptions): Promise<boolean> {
    return (await get(this.#parts, key, options)) !== undefined;
  }

  getMany<T>(keys: readonly CacheKey<T>[], options?: GetOptions): Promise<(T | undefined)[]> {
    return getMany(this.#parts, keys, options) as Promise<(T | undefined)[]>;
  }

  getManyOrLoad<T, Id>(
    ids: readonly Id[],
    key: (id: Id) => CacheKey<T>,
    loader: ManyLoader<Id, NoInfer<T>>,
    options?: ReadOptions,
  ): Promise<(T | null)[]> {
    const load = loader as ManyLoader<Id, unknown>;
    return getManyOrLoad(this.#parts, ids, key, load, options) as Promise<(T | null)[]>;
  }

  getOrLoadVia<Id, T>(
    index: CacheKey<Id>,
    how: IndexedRead<NonNullable<Id>, T>,
    options?: ReadOptions,
  ): Promise<T | null> {
    return viaIndex(this.#parts, index, how as IndexedRead<unknown, unknown>, options) as Promise<T | null>;
  }

  refresh<T>(key: CacheKey<T>, loader: Loader<NoInfer<T>>, options?: ReadOptions): Promise<T> {
    return refresh(this.#parts, key, loader as Loader<unknown>, options) as Promise<T>;
  }

  warm<T, Id>(options: WarmOptions<Id, T>): Promise<WarmProgress> {
    return warm(this.#parts, options as WarmOptions<Id, unknown>);
  }

  wrap<T, Args extends readonly unknown[]>(
    key: (...args: Args) => CacheKey<T>,
    load: (...args: Args) => NoInfer<T> | Promise<NoInfer<T>>,
    options?: CachePolicy,
  ): (...args: Args) => Promise<T> {
    assertWrapped(key, load, options);
    return (...args) => {
      try {
        return this.getOrLoad(key(...args), () => load(...args), options);
      } catch (error) {
        return Promise.reject(error);
      }
    };
  }

  setMany<T>(
    entries: Iterable<readonly [CacheKey<T>, NoInfer<T>]>,
    policy?: CachePolicy,
  ): Promise<TierClock> {
    return setMany(this.#parts, entries, policy);
  }

  delete(...keys: readonly CacheKey[]): Promise<TierClock> {
    return invalidate(this.#parts, keys);
  }

  invalidatePrefix(prefix: string): Promise<TierClock> {
    return invalidatePrefix(this.#parts, prefix);
  }

  eraseTenant(tenant: string): Promise<Erasure> {
    return eraseTenant(this.#parts, tenant);
  }

  inspect(key: CacheKey): Promise<Inspection> {
    return inspect(this.#parts, key);
  }

  health(): Promise<CacheHealth> {
    return health(this.#parts, this.#closing !== undefined);
  }

  get enabled(): boolean {
    return this.#parts.enabled;
  }

  switchOff(): void {
    this.#parts.enabled = false;
    this.#parts.memory.shut();
    // What is under way fills no memory, and who asks from now on does not join it.
    this.#parts.readings.touchedAll();
    for (const flight of this.#parts.flights.live()) {
      flight.touched = true;
      this.#parts.flights.detach(flight);
    }
  }

  switchOn(): void {
    if (this.#closing !== undefined) return;
    this.#parts.memory.open = true;
    this.#parts.enabled = true;
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
    const { maxEntries, maxBytes, bytes, evictions } = memory;
    const bounded = maxBytes === Number.POSITIVE_INFINITY ? undefined : { bytes, maxBytes };
    const snapshot = {
      cache: metrics.snapshot(),
      memory: { entries: memory.size, maxEntries, ...bounded, evictions, trusted: memory.epoch !== distrust },
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
    const { flights, background, memory, remote, events, repairs } = this.#parts;
    memory.shut();
    for (const flight of flights.live()) {
      if (!flight.wanted) flight.cancellation.abort(new CacheClosedError());
    }
    await background.drain();
    // The last attempt; what it cannot carry out is told.
    if (repairs !== undefined && repairs.pending > 0) await repairs.replay().catch(() => {});
    repairs?.stop();
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
    assertParts(options, namespace);
    const clock = options.clock ?? systemClock;
    const random = options.random ?? (() => Math.random());
    const events = new Events<CacheEvents>();
    const metrics = new Metrics(clock.now());
    const time = new TierTime(clock);
    // Memory that nobody else changes is always trusted; beside a remote tier it first has to hear what others change.
    const epoch = options.remote === undefined ? 1 : distrust;
    const tags = new TagRecords(options.remote === undefined ? 1 : -1);
    const { maxEntries, maxBytes, share } = memoryOptions(options.memory);
    const remote = options.remote && new RemoteCall(options.remote, clock, time, events, metrics);
    const repairs = repairsOf(options.onUnreached, remote, clock, events, namespace);
    if (remote !== undefined) remote.before = repairs;
    const background = new Background();
    const states = new WeakMap<KeyResource, ResourceState>();
    const memory = new MemoryTier(maxEntries, epoch, (entry) => tags.release(entry.tags), maxBytes);
    return {
      namespace,
      everything: namespaceTag(namespace),
      clock,
      random,
      tokens: new Tokens(random),
      codec: options.codec ?? jsonCodec,
      memory,
      sharing: share,
      coarse: new CoarseClock(clock),
      tags,
      flights: new SingleFlight(),
      readings: new Readings(),
      background,
      failures: new Failures(clock),
      time,
      events,
      metrics,
      enabled: true,
      remote,
      leases: remote && leasesOf(remote, clock, background),
      acquires: remote && acquiresOf(remote, clock),
      commits: remote && commitsOf(remote, clock),
      timeouts: new Timeouts(clock),
      looks: remote && new Looks(remote, time, clock, tags, () => epochOf(memory.epoch)),
      repairs,
      resourceState: (resource) => {
        let state = states.get(resource);
        if (state === undefined) {
          const { name } = resource;
          const resolved = resolvePolicy(resource.policy, policy, name);
          state = { policy: resolved, counters: metrics.countersOf(name, resolved.ttlMs), misses: 0 };
          states.set(resource, state);
        }
        return state;
      },
      use: () => this.#use(),
    };
  }
}

function cacheRead<T>(parts: EngineParts, key: CacheKey<T>, outcome: Outcome): CacheRead<T> {
  return { value: outcome.value as T, ...known(parts, key, outcome, outcome.value === null) };
}

function cacheRaw(parts: EngineParts, key: CacheKey, outcome: RawOutcome): CacheRaw {
  return { text: outcome.text, ...known(parts, key, outcome, outcome.text === 'null') };
}

function known(
  parts: EngineParts,
  key: CacheKey,
  { clock, state }: Omit<Outcome, 'value'>,
  negative: boolean,
): Omit<CacheRead<unknown>, 'value'> {
  const { ttlMs, negativeTtlMs } = parts.resourceState(key.resource).policy;
  return {
    state,
    clock,
    ageMs: Math.max(0, parts.clock.now() - parts.time.toLocal(clock / 1_000)),
    ttlMs: negative ? Math.min(ttlMs, negativeTtlMs) : ttlMs,
  };
}

/** @throws ArgumentError `INVALID_ARGUMENT` for what no call of the function that is made could work with. */
function assertWrapped(key: unknown, load: unknown, options: CachePolicy | undefined): void {
  if (typeof key !== 'function' || typeof load !== 'function') {
    throw new ArgumentError('wrap: give a function that makes the key, and one that loads');
  }
  if (options === undefined) return;
  asArgument(() => {
    assertKnownOptions('wrap', options, policyOptions);
    resolvePolicy(options, defaultPolicy, 'wrap');
  });
}

/** @throws ConfigurationError `INVALID_CONFIGURATION` if what was given in place of a part cannot be one. */
function assertParts({ remote, codec, clock, random }: CacheOptions, namespace: string): void {
  if (remote !== undefined && typeof remote?.getMany !== 'function') {
    throw new ConfigurationError('createCache: remote is no tier; give redisTier({ redis })');
  }
  if (remote?.namespace !== undefined && remote.namespace !== namespace) {
    throw new ConfigurationError(
      `createCache: the namespace is "${namespace}", and that of remote is "${remote.namespace}": it would hear of no change`,
    );
  }
  if (
    codec !== undefined &&
    (typeof codec?.encode !== 'function' ||
      typeof codec.decode !== 'function' ||
      !/^[A-Za-z]$/.test(codec.id))
  ) {
    throw new ConfigurationError('createCache: codec has an id of one ASCII letter, encode() and decode()');
  }
  if (clock !== undefined && (typeof clock?.now !== 'function' || typeof clock.setTimeout !== 'function')) {
    throw new ConfigurationError('createCache: clock has now(), setTimeout() and clearTimeout()');
  }
  if (random !== undefined && typeof random !== 'function') {
    throw new ConfigurationError(`createCache: random is a function; got ${String(random)}`);
  }
}

function knownPolicy(policy: CachePolicy = {}): CachePolicy {
  assertKnownOptions('createCache: policy', policy, policyOptions);
  return policy;
}

function repairsOf(
  onUnreached: CacheOptions['onUnreached'] = 'reject',
  remote: RemoteCall | undefined,
  clock: Clock,
  events: Events<CacheEvents>,
  namespace: string,
): Repairs | undefined {
  if (onUnreached !== 'reject' && onUnreached !== 'repair') {
    throw new ConfigurationError(
      `createCache: onUnreached is "reject" or "repair"; got ${String(onUnreached)}`,
    );
  }
  if (remote === undefined || onUnreached === 'reject') return undefined;
  return new Repairs(remote, clock, events, namespaceTag(namespace), deletePrefix);
}

function memoryOptions(memory: CacheOptions['memory']): Required<MemoryOptions> {
  const none = { maxEntries: 0, maxBytes: Number.POSITIVE_INFINITY, share: 'reference' } as const;
  if (memory === false) return none;
  const given = memory === undefined ? {} : memory;
  assertKnownOptions('createCache: memory', given, ['maxEntries', 'maxBytes', 'share']);
  const { maxEntries = defaultMaxEntries, maxBytes = Number.POSITIVE_INFINITY, share = 'freeze' } = given;
  if (!Number.isInteger(maxEntries) || maxEntries < 1) {
    throw new ConfigurationError(
      `createCache: memory.maxEntries is a whole number of 1 or more; got ${maxEntries}`,
    );
  }
  if (typeof maxBytes !== 'number' || !(maxBytes >= 1)) {
    throw new ConfigurationError(`createCache: memory.maxBytes is 1 or more; got ${String(maxBytes)}`);
  }
  if (!['freeze', 'clone', 'reference'].includes(share)) {
    throw new ConfigurationError(
      `createCache: memory.share is "freeze", "clone" or "reference"; got ${String(share)}`,
    );
  }
  return { maxEntries, maxBytes, share };
}
