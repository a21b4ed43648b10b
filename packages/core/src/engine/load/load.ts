import { encoded } from '../../codecs/encoded.ts';
import { ArgumentError, LoadTimeoutError } from '../../errors.ts';
import { deepFreeze } from '../../memory/deep-freeze.ts';
import { handedOut, kept } from '../../memory/sharing.ts';
import { countLoad } from '../../metrics/metrics.ts';
import { keepMs, lifeMs } from '../../policy.ts';
import type { CommitRequest, EntryKind } from '../../ports/remote-tier.ts';
import { bytesOf, memoryEntry, type OldValue, servedOld } from '../hold.ts';
import type { EngineParts, Outcome } from '../parts.ts';
import type { ReadRequest } from '../read-request.ts';
import type { Asker } from '../steps/asks.ts';
import { jittered } from '../steps/jitter.ts';
import { Loading } from '../steps/loading.ts';
import type { Flight } from '../steps/single-flight.ts';
import type { Expiring } from '../steps/timeouts.ts';
import { refused } from './commit.ts';
import { failedLoad } from './failed-load.ts';
import { type Licence, release, wiresOf } from './lease.ts';
import { prolong } from './prolong.ts';

/** How long a value lives that was loaded while the remote tier did not answer. */
const degradedMs = 1_000;

/** Who is told how a load ended, once. */
export interface Landing {
  settle(outcome: Outcome): void;
  fail(error: unknown): void;
}

/**
 * One run of a loader and what becomes of its value. Not an async function: most loads wait for their loader and for their
 * commit, and every promise in between would cost as much as either.
 */
export class Load implements Expiring, Asker<CommitRequest, boolean> {
  readonly #parts: EngineParts;
  readonly #flight: Flight<Outcome>;
  readonly #request: ReadRequest;
  readonly #licence: Licence;
  readonly #old: OldValue | undefined;
  readonly #landing: Landing;
  readonly #loading: Loading;
  #startedAt = 0;
  /** The loader has answered, or nobody waits for it any more. */
  #over = false;
  #loaded: Loaded | undefined;
  #commit: CommitRequest | undefined;

  constructor(
    parts: EngineParts,
    flight: Flight<Outcome>,
    request: ReadRequest,
    licence: Licence,
    old: OldValue | undefined,
    landing: Landing,
  ) {
    flight.clock = licence.clock;
    flight.token = licence.token;
    this.#parts = parts;
    this.#flight = flight;
    this.#request = request;
    this.#licence = licence;
    this.#old = old;
    this.#landing = landing;
    const stale = handedOut(old?.value, parts.sharing);
    this.#loading = new Loading(parts.namespace, flight.wire, flight.cancellation, stale, request.policy);
  }

  start(): void {
    const { cancellation } = this.#flight;
    const { loader, policy, state } = this.#request;
    this.#startedAt = this.#parts.clock.now();
    state.counters.loads++;
    if (this.#licence.token !== undefined) this.#parts.leases?.add(this.#flight);
    this.#parts.timeouts.begin(this, policy.hardTimeoutMs);
    if (cancellation.aborted) {
      this.#failed(cancellation.reason);
      return;
    }
    cancellation.onAbort = this.#failed;
    let loading: Promise<unknown>;
    try {
      loading = Promise.resolve(loader(this.#loading));
    } catch (error) {
      this.#failed(error);
      return;
    }
    // A loader that goes on after it was given up is nobody's concern any more, its failure included.
    loading.then(this.#gave, this.#failed);
  }

  expired(): void {
    const { hardTimeoutMs } = this.#request.policy;
    this.#flight.cancellation.abort(new LoadTimeoutError(this.#flight.wire, hardTimeoutMs));
  }

  get asks(): CommitRequest {
    return this.#commit as CommitRequest;
  }

  /** The commit was refused if it was not `stored`. */
  answered(stored: boolean): void {
    this.#flight.token = undefined;
    if (stored) this.#hold();
    else this.#refused();
    this.#landed();
  }

  /** Whether the commit would have been refused is not known: nobody else may see the value, nor wait for the lease. */
  unanswered(error: unknown): void {
    const { background, remote } = this.#parts;
    const { wire, token } = this.#flight;
    this.#flight.token = undefined;
    if (remote !== undefined && token !== undefined) background.run(remote.forsake(wire, token, error));
    this.#landed();
  }

  readonly #failed = (error: unknown): void => {
    if (!this.#ends()) return;
    release(this.#parts, this.#flight);
    const instead = failedLoad(this.#parts, this.#flight, this.#request, error, this.#old);
    if (instead === undefined) this.#landing.fail(error);
    else this.#landing.settle(servedOld(instead));
  };

  readonly #gave = (value: unknown): void => {
    if (value === undefined) {
      const message = `The loader of "${this.#flight.wire}" gave undefined; null means "does not exist"`;
      this.#failed(new ArgumentError(message));
    } else if (this.#ends()) {
      try {
        this.#take(value);
      } catch (error) {
        this.#landing.fail(error);
      }
    }
  };

  #ends(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#flight.cancellation.onAbort = undefined;
    this.#parts.timeouts.end(this, this.#request.policy.hardTimeoutMs);
    if (this.#licence.token !== undefined) this.#parts.leases?.delete(this.#flight);
    return true;
  }

  #take(value: unknown): void {
    const parts = this.#parts;
    const { key, state } = this.#request;
    const now = parts.clock.now();
    const loadMs = now - this.#startedAt;
    countLoad(state.counters, loadMs);
    if (parts.events.heard('load')) {
      parts.events.emit('load', { key: key.wire, resource: key.resource.name, durationMs: loadMs });
    }
    parts.failures.forget(key.wire);
    const { unchanged, stale, policy } = this.#loading;
    const old = this.#old;
    if (old !== undefined && unchanged && value === stale) {
      const added = this.#loading.keepTags([...this.#licence.tags, ...wiresOf(old.tags)]);
      // What lacks a tag is written with it, and "does not exist" has no life to prolong.
      if (!added && old.kind === 'value' && this.#licence.token !== undefined) {
        prolong(parts, this.#flight, this.#request, policy, old).then(
          (freshUntil) => this.#land(old.value, loadMs, freshUntil),
          (error) => this.#landing.fail(error),
        );
        return;
      }
    }
    this.#store(value, loadMs, now);
  }

  /** Whether memory may hold the very object that callers have. */
  #shareable(value: unknown): boolean {
    const { memory, sharing } = this.#parts;
    if (memory.maxEntries === 0 || sharing !== 'freeze') return true;
    try {
      deepFreeze(value);
      return true;
    } catch (error) {
      this.#unstorable(error);
      return false;
    }
  }

  #unstorable(error: unknown): void {
    const { wire, resource } = this.#request.key;
    this.#parts.events.emit('unstorable', { key: wire, resource: resource.name, error });
  }

  /** Puts a loaded value where the next read finds it, unless something overtook the load. */
  #store(value: unknown, loadMs: number, now: number): void {
    const parts = this.#parts;
    const flight = this.#flight;
    const { policy } = this.#loading;
    const kind: EntryKind = value === null ? 'negative' : 'value';
    const ttlMs = jittered(lifeMs(kind, policy), policy.jitter, flight.wire);
    const loaded = { value, kind, loadMs, now, ttlMs, tags: this.#tags() };
    this.#loaded = loaded;
    if (!this.#shareable(value)) release(parts, flight);
    else if (flight.overtaken || ttlMs === 0) {
      if (flight.overtaken) this.#refused();
      release(parts, flight);
    } else if (this.#licence.token === undefined) this.#hold();
    else {
      this.#commit = this.#encoded(loaded, this.#licence.token);
      if (this.#commit !== undefined) {
        parts.commits?.add(this);
        return;
      }
      release(parts, flight);
    }
    this.#landed();
  }

  #tags(): readonly string[] {
    const { tags } = this.#licence;
    const added = this.#loading.tags;
    return added.size === 0 ? tags : [...new Set([...tags, ...added])];
  }

  /** Nothing if the codec refuses the value. */
  #encoded(loaded: Loaded, token: string): CommitRequest | undefined {
    const { value, kind, loadMs, now, ttlMs, tags } = loaded;
    const parts = this.#parts;
    const { codec } = parts;
    const { wire } = this.#flight;
    const { clock } = this.#licence;
    const freshUntil = parts.time.toTier(now + ttlMs);
    try {
      const payload = encoded(codec, value);
      const entry = { kind, clock, freshUntil, version: token, loadMs, tags, codec: codec.id, payload };
      const keptMs = kind === 'value' ? keepMs(this.#loading.policy) : ttlMs;
      return { key: wire, token, entry, ttlMs: keptMs };
    } catch (error) {
      this.#unstorable(error);
      return undefined;
    }
  }

  /** Memory is filled with what the tier has now, or with what is all there is. */
  #hold(): void {
    const parts = this.#parts;
    const flight = this.#flight;
    const { key, state } = this.#request;
    const { clock, token, degraded } = this.#licence;
    const { value, kind, loadMs, now, ttlMs, tags } = this.#loaded as Loaded;
    if (flight.overtaken) return;
    // A tag that came with the value was not watched while it was loaded.
    for (const tag of this.#loading.tags) {
      if (!parts.tags.changedSince(tag, flight.asOf)) continue;
      this.#refused();
      return;
    }
    if (flight.touched || parts.memory.maxEntries === 0) return;
    const degradedUntil = degraded ? now + Math.min(degradedMs, ttlMs) : 0;
    const freshUntil = degraded ? degradedUntil : now + ttlMs;
    let held = value;
    let bytes: number;
    try {
      if (parts.sharing === 'clone') held = kept(value, 'clone');
      bytes = bytesOf(parts, key.wire, value);
    } catch (error) {
      this.#unstorable(error);
      return;
    }
    const version = token ?? '';
    const holding = { kind, value: held, clock, version, loadMs, bytes, freshUntil, tags, degradedUntil };
    const entry = memoryEntry(parts, flight, state, holding, this.#loading.policy);
    // The tier knows every tag now, and none was invalidated after the load began.
    for (const record of entry.tags) {
      if (token !== undefined && record.epoch !== flight.epoch) {
        parts.tags.learned(record, clock, flight.epoch, flight.asOf);
      }
    }
    parts.memory.set(entry);
  }

  /** Something overtook the load, so nobody keeps what it gave. */
  #refused(): void {
    this.#flight.overtaken = true;
    refused(this.#parts, this.#request);
  }

  #landed(): void {
    const { value, loadMs, now, ttlMs } = this.#loaded as Loaded;
    this.#land(value, loadMs, this.#flight.overtaken ? 0 : now + ttlMs);
  }

  #land(value: unknown, loadMs: number, freshUntil: number): void {
    const { clock } = this.#licence;
    this.#landing.settle({ value, state: 'miss', from: 'loader', clock, loadMs, freshUntil });
  }
}

/** What a loader gave. */
interface Loaded {
  readonly value: unknown;
  readonly kind: EntryKind;
  readonly loadMs: number;
  /** When it came, by the clock of this process. */
  readonly now: number;
  readonly ttlMs: number;
  readonly tags: readonly string[];
}
