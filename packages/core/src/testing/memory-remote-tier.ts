import {
  decodeRead,
  encodeEntry,
  encodeLease,
  entryFields,
  entryKinds,
  fieldNumber,
  fieldText,
  longestLeaseMs,
  noToken,
  withField,
} from '../entry.ts';
import type { Clock } from '../ports/clock.ts';
import type { Coherence, CoherenceSink } from '../ports/coherence.ts';
import type {
  AcquireRequest,
  Acquisition,
  CommitRequest,
  RemoteEntry,
  RemoteRead,
  RemoteTier,
  RemoteTierCapabilities,
  TierClock,
} from '../ports/remote-tier.ts';
import { MemoryRemote } from './memory-remote.ts';

/** What {@link memoryRemoteTier} takes. */
export interface MemoryRemoteTierOptions {
  /** Shared by the tiers that play several processes. @defaultValue one of its own */
  readonly remote?: MemoryRemote;
  readonly clock?: Clock;
}

/**
 * A remote tier in this process, for tests: with the promises of a real one, and with faults at will.
 *
 * @example
 * const remote = new MemoryRemote();
 * const a = createCache({ remote: memoryRemoteTier({ remote }) });
 * const b = createCache({ remote: memoryRemoteTier({ remote }) });
 */
export function memoryRemoteTier(options: MemoryRemoteTierOptions = {}): MemoryRemoteTier {
  return new MemoryRemoteTier(options);
}

/** One process' connection to a {@link MemoryRemote}. */
export class MemoryRemoteTier implements RemoteTier {
  readonly name = 'memory-remote';
  readonly capabilities: RemoteTierCapabilities = { fenced: true, push: true, cluster: false };
  readonly coherence: Coherence;
  readonly remote: MemoryRemote;
  /** How many calls of each method were made. */
  readonly calls: Record<string, number> = {};

  readonly #requestGates = new Map<string, Promise<void>>();
  readonly #answerGates = new Map<string, Promise<void>>();
  #sink: CoherenceSink | undefined;
  #unlisten: (() => void) | undefined;
  #bus: 'up' | 'cut' | 'deaf' = 'up';
  #failure: Error | undefined;

  constructor(options: MemoryRemoteTierOptions) {
    this.remote = options.remote ?? new MemoryRemote(options);
    this.coherence = {
      mode: 'pubsub',
      start: (sink) => {
        this.#sink = sink;
        this.#unlisten = this.remote.listen(this, sink);
        if (this.#bus === 'up') sink.armed();
      },
      close: async () => this.#unlisten?.(),
    };
  }

  /** From now on every call rejects. */
  fail(error: Error = new Error('connection refused')): void {
    this.#failure = error;
  }

  /** Calls are answered again. */
  recover(): void {
    this.#failure = undefined;
  }

  /** The bus breaks, and the process is told. */
  cutBus(): void {
    this.#bus = 'cut';
    this.#sink?.lost();
  }

  /** The bus works again. */
  mendBus(): void {
    this.#bus = 'up';
    this.#sink?.armed();
  }

  /** Messages get lost and nobody notices. */
  loseMessages(): void {
    this.#bus = 'deaf';
  }

  /** Whether messages arrive. */
  hears(): boolean {
    return this.#bus === 'up';
  }

  /**
   * Holds calls of `method` back until the function that is returned is called: on their way to the server, or their
   * answers on the way back.
   */
  hold(method: keyof RemoteTier, on: 'request' | 'answer' = 'answer'): () => void {
    const gates = on === 'request' ? this.#requestGates : this.#answerGates;
    const gate = Promise.withResolvers<void>();
    gates.set(method, gate.promise);
    return () => {
      gates.delete(method);
      gate.resolve();
    };
  }

  time(): Promise<TierClock> {
    return this.#answer('time', () => this.remote.tick());
  }

  getMany(keys: readonly string[]): Promise<readonly RemoteRead[]> {
    return this.#answer('getMany', () => keys.map((key) => decodeRead(this.remote.get(key))));
  }

  acquire(request: AcquireRequest): Promise<Acquisition> {
    const { key, token, leaseMs, replaces, unseen, tags = [] } = request;
    return this.#answer('acquire', () => {
      const text = this.remote.get(key);
      if (unseen && text !== undefined) return { state: 'leased' };
      const read = decodeRead(text);
      const clock = this.remote.tick();
      const until = this.remote.now() + leaseMs;
      const free = read.state === 'leased' && !(this.#lasts(read.until) && this.remote.expires(key));
      if (text === undefined || read.state === 'absent' || free) {
        this.remote.put(key, encodeLease({ token, clock, until }), leaseMs);
        this.#know(tags, clock);
        return { state: 'acquired', clock };
      }
      if (read.state === 'leased') return { state: 'leased' };
      if (read.entry.version !== replaces) return { state: 'entry', entry: read.entry };
      const held = fieldText(text, entryFields.refreshToken) !== noToken;
      if (held && this.#lasts(fieldNumber(text, entryFields.refreshUntil))) return { state: 'leased' };
      const marked = withField(text, entryFields.refreshToken, token);
      this.remote.patch(key, withField(marked, entryFields.refreshUntil, until));
      this.#know(tags, clock);
      return { state: 'acquired', clock };
    });
  }

  commit(request: CommitRequest): Promise<boolean> {
    return this.#answer('commit', () => {
      const { key, token, entry, ttlMs } = request;
      if (!this.#holds(key, token)) return false;
      for (const tag of entry.tags) {
        if ((this.remote.tag(tag) ?? 0) <= entry.clock) continue;
        this.#release(key);
        return false;
      }
      this.#store(key, entry, ttlMs);
      return true;
    });
  }

  renew(key: string, token: string, leaseMs: number): Promise<boolean> {
    return this.#answer('renew', () => {
      const text = this.remote.get(key);
      if (text === undefined || !this.#holds(key, token)) return false;
      const until = this.remote.now() + leaseMs;
      if (isLease(text)) this.remote.put(key, withField(text, entryFields.freshUntil, until), leaseMs);
      else this.remote.patch(key, withField(text, entryFields.refreshUntil, until));
      return true;
    });
  }

  release(key: string, token: string): Promise<void> {
    return this.#answer('release', () => {
      if (this.#holds(key, token)) this.#release(key);
    });
  }

  put(key: string, entry: RemoteEntry, ttlMs: number): Promise<TierClock> {
    return this.#answer('put', () => {
      const clock = this.remote.tick();
      this.#store(key, { ...entry, clock }, ttlMs);
      return clock;
    });
  }

  delete(keys: readonly string[]): Promise<TierClock> {
    return this.#answer('delete', () => {
      for (const key of keys) this.remote.remove(key);
      this.remote.publish(keys);
      return this.remote.tick();
    });
  }

  expire(keys: readonly string[]): Promise<TierClock> {
    return this.#answer('expire', () => {
      for (const key of keys) {
        const text = this.remote.get(key);
        if (text === undefined) continue;
        if (isLease(text)) this.remote.remove(key);
        else {
          const stale = withField(text, entryFields.freshUntil, 0);
          this.remote.patch(key, withField(stale, entryFields.refreshToken, noToken));
        }
      }
      this.remote.publish(keys);
      return this.remote.tick();
    });
  }

  touch(key: string, version: string, freshUntil: number, ttlMs: number): Promise<boolean> {
    return this.#answer('touch', () => {
      const text = this.remote.get(key);
      const read = decodeRead(text);
      if (text === undefined || read.state !== 'entry' || read.entry.version !== version) return false;
      const prolonged = withField(text, entryFields.freshUntil, freshUntil);
      this.remote.put(key, withField(prolonged, entryFields.refreshToken, noToken), ttlMs);
      this.remote.publish([key]);
      return true;
    });
  }

  tagVersions(tags: readonly string[]): Promise<readonly (TierClock | undefined)[]> {
    return this.#answer('tagVersions', () => tags.map((tag) => this.remote.tag(tag)));
  }

  bumpTags(tags: readonly string[]): Promise<TierClock> {
    return this.#answer('bumpTags', () => {
      const clock = this.remote.tick();
      for (const tag of tags) this.remote.setTag(tag, clock);
      this.remote.publish(tags);
      return clock;
    });
  }

  async *scan(prefix: string): AsyncIterable<readonly string[]> {
    const keys = await this.#answer('scan', () => this.remote.keys().filter((key) => key.startsWith(prefix)));
    for (let index = 0; index < keys.length; index += 100) yield keys.slice(index, index + 100);
  }

  async close(): Promise<void> {
    this.#unlisten?.();
  }

  /** Whether a lease until then is held: neither over nor longer than any. */
  #lasts(until: number): boolean {
    const leftMs = until - this.remote.now();
    return leftMs > 0 && leftMs <= longestLeaseMs;
  }

  #holds(key: string, token: string): boolean {
    const text = this.remote.get(key);
    if (text === undefined) return false;
    return fieldText(text, isLease(text) ? entryFields.version : entryFields.refreshToken) === token;
  }

  #release(key: string): void {
    const text = this.remote.get(key) ?? '';
    if (isLease(text)) this.remote.remove(key);
    else this.remote.patch(key, withField(text, entryFields.refreshToken, noToken));
    this.remote.publish([key]);
  }

  #store(key: string, entry: RemoteEntry, ttlMs: number): void {
    this.remote.put(key, encodeEntry(entry), ttlMs);
    this.#know(entry.tags, entry.clock);
    this.remote.publish([key], entry.version);
  }

  /** A tag that nobody knows must not be taken for one that was never invalidated: from now on it is known. */
  #know(tags: readonly string[], clock: TierClock): void {
    for (const tag of tags) if (this.remote.tag(tag) === undefined) this.remote.setTag(tag, clock);
  }

  /** Decides at once, as a server does in the order of calls, and answers a turn later. */
  async #answer<T>(method: string, decide: () => T): Promise<T> {
    this.calls[method] = (this.calls[method] ?? 0) + 1;
    if (this.#failure !== undefined) throw this.#failure;
    const held = this.#requestGates.get(method);
    if (held !== undefined) await held;
    const answer = decide();
    await this.#answerGates.get(method);
    return answer;
  }
}

function isLease(text: string): boolean {
  return fieldText(text, entryFields.kind) === entryKinds.lease;
}
