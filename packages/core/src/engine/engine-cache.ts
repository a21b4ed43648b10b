import type { Cache, CacheRaw, CacheRead } from '../cache/cache.ts';
import type { CacheEventName, CacheListener } from '../cache/cache-events.ts';
import type { CacheHealth } from '../cache/cache-health.ts';
import type { Erasure } from '../cache/erasure.ts';
import type { IndexedRead } from '../cache/indexed-read.ts';
import type { Inspection } from '../cache/inspection.ts';
import type { Loader, ManyLoader } from '../cache/loader.ts';
import type { GetOptions, ReadOptions } from '../cache/read-options.ts';
import type { WarmOptions, WarmProgress } from '../cache/warm-up.ts';
import { ArgumentError, asArgument, assertKnownOptions, CacheClosedError } from '../errors.ts';
import type { CacheKey, CacheTag } from '../keys/cache-key.ts';
import { distrust } from '../memory/tier.ts';
import type { CacheMetricsSnapshot } from '../metrics/metrics.ts';
import { type CachePolicy, defaultPolicy, policyOptions, resolvePolicy } from '../policy.ts';
import type { TierClock } from '../ports/remote-tier.ts';
import { coherenceSink } from './coherence-sink.ts';
import { eraseTenant } from './erase-tenant.ts';
import { getManyOrLoad } from './get-many-or-load.ts';
import { getOrLoad, read } from './get-or-load.ts';
import { get, getMany, peek } from './glance.ts';
import { health } from './health.ts';
import { inspect } from './inspect.ts';
import { clear, invalidate, invalidatePrefix, invalidateTags } from './invalidate.ts';
import type { EngineParts, Outcome } from './parts.ts';
import { getRaw, type RawOutcome, readRaw } from './raw.ts';
import { refresh } from './refresh.ts';
import { set, setMany } from './set.ts';
import { viaIndex } from './via-index.ts';
import { warm } from './warm.ts';

/** {@link Cache} over the conductors of the engine. */
export class EngineCache implements Cache {
  readonly namespace: string;
  readonly #parts: EngineParts;
  #used = false;
  #closing: Promise<void> | undefined;

  /** @param build - Makes the parts, given what every call of the cache begins with. */
  constructor(build: (use: () => void) => EngineParts) {
    this.#parts = build(() => this.#use());
    this.namespace = this.#parts.namespace;
  }

  getOrLoad<T>(key: CacheKey<T>, loader: Loader<NoInfer<T>>, options?: ReadOptions): Promise<T> {
    return getOrLoad(this.#parts, key, loader as Loader<unknown>, options) as Promise<T>;
  }

  async read<T>(key: CacheKey<T>, loader: Loader<NoInfer<T>>, options?: ReadOptions): Promise<CacheRead<T>> {
    const outcome = await read(this.#parts, key, loader as Loader<unknown>, options);
    return cacheRead<T>(this.#parts, outcome);
  }

  async readRaw<T>(key: CacheKey<T>, loader: Loader<NoInfer<T>>, options?: ReadOptions): Promise<CacheRaw> {
    return cacheRaw(this.#parts, await readRaw(this.#parts, key, loader as Loader<unknown>, options));
  }

  async getRaw(key: CacheKey, options?: GetOptions): Promise<CacheRaw | undefined> {
    const raw = await getRaw(this.#parts, key, options);
    return raw && cacheRaw(this.#parts, raw);
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
    const { flights, background, memory, remote, events, repairs, timeouts, leases } = this.#parts;
    memory.shut();
    for (const flight of flights.live()) {
      if (!flight.wanted) flight.cancellation.abort(new CacheClosedError());
    }
    await background.drain();
    timeouts.close();
    leases?.clear();
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
}

function cacheRead<T>(parts: EngineParts, outcome: Outcome): CacheRead<T> {
  return { value: outcome.value as T, ...known(parts, outcome) };
}

function cacheRaw(parts: EngineParts, outcome: RawOutcome): CacheRaw {
  return { text: outcome.text, ...known(parts, outcome) };
}

function known(
  { clock: machine, time }: EngineParts,
  { clock, state, loadMs, freshUntil }: Omit<Outcome, 'value'>,
): Omit<CacheRead<unknown>, 'value'> {
  const beganAt = time.toLocal(clock / 1_000);
  return {
    state,
    clock,
    ageMs: Math.max(0, machine.now() - beganAt),
    ttlMs: Math.max(0, Math.round(freshUntil - loadMs - beganAt)),
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
