import {
  type AcquireRequest,
  type Acquisition,
  assertExecutor,
  assertKnownOptions,
  assertNamespace,
  type Coherence,
  type CoherenceMode,
  type CommitRequest,
  ConfigurationError,
  decodeRead,
  defaultNamespace,
  encodeEntry,
  entryFields,
  fieldText,
  type RedisArgument,
  type RedisExecutor,
  type RedisScript,
  type RemoteEntry,
  type RemoteLook,
  type RemoteRead,
  type RemoteTier,
  type RemoteTierCapabilities,
  systemClock,
  type TierClock,
} from '@cachekit/core';
import { ChangeLog } from '../coherence/change-log.ts';
import { LogCoherence } from '../coherence/log.ts';
import { OwnWrites } from '../coherence/own-writes.ts';
import { PubSubCoherence } from '../coherence/pubsub.ts';
import { TrackingCoherence } from '../coherence/tracking.ts';
import { TtlCoherence } from '../coherence/ttl.ts';
import { RedisUnavailableError, UnsupportedByClientError } from '../errors.ts';
import { cachePrefix, changesChannel, changesLog, hashTag } from '../keys.ts';
import { acquireScript, unseenMark } from '../scripts/acquire.ts';
import { bumpTagsScript } from '../scripts/bump-tags.ts';
import { commitScript } from '../scripts/commit.ts';
import { deleteScript } from '../scripts/delete.ts';
import { expireScript } from '../scripts/expire.ts';
import { loggedMark } from '../scripts/fragments.ts';
import { keepTagsScript } from '../scripts/keep-tags.ts';
import { putScript } from '../scripts/put.ts';
import { releaseScript } from '../scripts/release.ts';
import { renewScript } from '../scripts/renew.ts';
import { touchScript } from '../scripts/touch.ts';
import { commandGroups } from '../slot-groups.ts';
import type { BatchedCalls } from './batched-calls.ts';
import { BatchedReads, type Stored } from './batched-reads.ts';
import { batchedScript, refusal, type ScriptItem, type ScriptReply } from './batched-script.ts';

/** Options of {@link redisTier}. */
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

/** Keys per script call. */
const mostKeys = 512;

/**
 * By how much the clocks of two masters may differ, in microseconds. A tag in another slot than its entries is another
 * master's, so its version is set this much later.
 */
const clockSkew = 50_000;

/**
 * The tier that processes share, in Redis or Valkey.
 *
 * - Each entry is one string with its lease in it; every write is one script, so it happens whole or not at all.
 * - A load that was overtaken by a delete, a put, a tag, or a write of any other client never lands.
 * - Clocks are the server's; those of clients do not matter.
 * - A tag that the server does not know, because it was evicted or lost, makes its entries invalid.
 * - The reads of a tick travel as one `MGET`, the loads that begin in a tick as one script call, and those that end in a
 *   tick as one; on a cluster, one for each tenant.
 * - On a cluster, methods on many keys are carried out slot by slot. If one fails, the others may be done.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for a wrong option.
 * @throws UnsupportedByClientError `UNSUPPORTED_BY_CLIENT` if the client cannot hold the connections that `coherence`
 * needs.
 * @example
 * const tier = redisTier({ redis });
 * tier.onFallback(({ from, to, reason }) => console.warn('Redis refuses', from, 'so it is', to, reason));
 * const cache = createCache({ remote: tier });
 */
export function redisTier(options: RedisTierOptions): RedisTier {
  assertKnownOptions('redisTier', options, ['redis', 'namespace', 'coherence']);
  const { redis, namespace = defaultNamespace, coherence } = options;
  assertNamespace(namespace);
  assertExecutor('redisTier', redis);
  if (coherence !== undefined && !modes.includes(coherence)) {
    throw new ConfigurationError(
      `coherence: "${String(coherence)}" is none; it is one of ${modes.join(', ')}`,
    );
  }
  const { cluster, subscribe, tracking = false } = redis.capabilities;
  const best = tracking ? 'any' : subscribe ? 'pubsub' : 'log';
  const chosen = coherence ?? best;
  if (
    (chosen === 'tracking' && !(tracking && redis.tracker)) ||
    (chosen === 'pubsub' && !subscribe) ||
    (chosen === 'log' && cluster)
  ) {
    throw new UnsupportedByClientError('This client', `coherence by ${chosen}`);
  }
  return new TierOverRedis(redis, namespace, chosen);
}

const modes: readonly CoherenceMode[] = ['tracking', 'pubsub', 'log', 'ttl'];

class TierOverRedis implements RedisTier {
  readonly name = 'redis';
  readonly namespace: string;
  readonly capabilities: RemoteTierCapabilities;
  readonly coherence: Coherence;
  readonly partOf?: (key: string) => string;
  // On a cluster some tags are in other slots than their entries, which is a matter of each entry.
  readonly acquireMany?: (requests: readonly AcquireRequest[]) => Promise<readonly (Acquisition | Error)[]>;
  readonly commitMany?: (requests: readonly CommitRequest[]) => Promise<readonly (boolean | Error)[]>;
  readonly #redis: RedisExecutor;
  readonly #cluster: boolean;
  /** First argument of every script that writes. Empty: nobody is told. */
  readonly #channel: string;
  /** Last keys of every script that writes. */
  readonly #log: readonly string[];
  readonly #reads: BatchedReads;
  readonly #acquires: BatchedCalls<ScriptItem, Acquisition | string>;
  readonly #commits: BatchedCalls<ScriptItem, boolean>;
  readonly #puts: BatchedCalls<ScriptItem, TierClock>;
  /** Only where the server tells a process also of what it did itself. */
  readonly #own: OwnWrites | undefined;
  readonly #fallbackListeners = new Set<{ readonly listener: (fallback: CoherenceFallback) => void }>();

  constructor(redis: RedisExecutor, namespace: string, coherence: CoherenceMode | 'any') {
    const { cluster } = redis.capabilities;
    this.namespace = namespace;
    const channel = changesChannel(namespace);
    const told = coherence !== 'ttl';
    // A log would be in one slot, and what a script touches is in another.
    this.#log = told && !cluster ? [changesLog(namespace)] : [];
    // Whatever way this process hears itself: one that can only listen hears of nothing else.
    const published = told ? channel : '';
    this.#channel = this.#log.length > 0 ? loggedMark + published : published;
    const log = this.#log[0] === undefined ? undefined : new ChangeLog(redis, this.#log[0], systemClock);
    this.capabilities = { fenced: true, push: coherence !== 'ttl' && coherence !== 'log', cluster };
    this.#redis = redis;
    this.#cluster = cluster;
    // A slot fails with its master, and which one that is the client alone knows.
    if (cluster) this.partOf = hashTag;
    else {
      this.acquireMany = (requests) => this.#acquireMany(requests);
      this.commitMany = (requests) => this.#commitMany(requests);
    }
    this.#reads = new BatchedReads(redis);
    const common = { keys: this.#log, args: [this.#channel] };
    this.#acquires = batchedScript(redis, acquireScript, { keys: [], args: [] }, (replies) =>
      this.#acquisitions(replies),
    );
    this.#commits = batchedScript(redis, commitScript, common, stored);
    const patience = Math.ceil(1_000 * (redis.timeoutMs ?? 0));
    this.#puts = batchedScript(
      redis,
      putScript,
      { keys: this.#log, args: [this.#channel, patience] },
      (replies) => this.#clocks(replies),
    );
    if (coherence === 'any' || coherence === 'tracking') {
      this.#own = new OwnWrites(systemClock);
      const next = coherence === 'any' ? new PubSubCoherence(redis, channel, log, systemClock) : undefined;
      const fellBack = (to: CoherenceMode | undefined, reason: unknown): void => this.#fellBack(to, reason);
      this.coherence = new TrackingCoherence(redis, cachePrefix(namespace), this.#own, next, fellBack);
    } else if (coherence === 'pubsub') this.coherence = new PubSubCoherence(redis, channel, log, systemClock);
    else if (log !== undefined) this.coherence = new LogCoherence(log, systemClock);
    else this.coherence = new TtlCoherence();
  }

  onFallback(listener: (fallback: CoherenceFallback) => void): () => void {
    const box = { listener };
    this.#fallbackListeners.add(box);
    return () => {
      this.#fallbackListeners.delete(box);
    };
  }

  #fellBack(to: CoherenceMode | undefined, reason: unknown): void {
    const fallback = { from: 'tracking', ...(to === undefined ? {} : { to }), reason } as const;
    for (const { listener } of [...this.#fallbackListeners]) listener(fallback);
  }

  /** What a call of the script says; the text where another entry is there, or what looks like one. */
  #acquisitions([clock, ...replies]: readonly ScriptReply[]): readonly (Acquisition | string | Error)[] {
    const acquired: Acquisition = { state: 'acquired', clock: clock as TierClock };
    if (replies.includes(1)) this.#own?.loadBegan(acquired.clock);
    return replies.map((reply) => {
      if (reply === 1) return acquired;
      return reply === 0 ? leased : (refusal(reply) ?? (reply as string));
    });
  }

  /** What a call of the script says; noted before what is asked next is answered, such as what this process hears of it. */
  #clocks(replies: readonly ScriptReply[]): readonly (TierClock | Error)[] {
    return replies.map((reply) => {
      const refused = refusal(reply);
      if (refused !== undefined) return refused;
      const clock = reply as TierClock;
      if (clock > 0) this.#own?.loadBegan(clock);
      return clock;
    });
  }

  async time(): Promise<TierClock> {
    const [seconds, micros] = (await this.#redis.command('TIME')) as [string, string];
    return Number(seconds) * 1_000_000 + Number(micros);
  }

  async getMany(keys: readonly string[]): Promise<readonly RemoteRead[]> {
    this.#puts.flush();
    const stored = await this.#reads.read(keys);
    return stored.map(decodeRead);
  }

  look(keys: readonly string[], tags: readonly string[]): Promise<RemoteLook> {
    this.#puts.flush();
    return this.#reads.readNow(keys.concat(tags)).then((stored) => {
      const reads = new Array<RemoteRead>(keys.length);
      const versions = new Array<TierClock | undefined>(tags.length);
      for (let index = 0; index < keys.length; index++) reads[index] = decodeRead(stored[index]);
      for (let index = 0; index < tags.length; index++) {
        versions[index] = tagVersion(stored[keys.length + index] ?? null);
      }
      return { reads, versions };
    });
  }

  async acquire(request: AcquireRequest): Promise<Acquisition> {
    const { key, tags = [] } = request;
    const [near, far] = this.#tagsBySlot(key, tags);
    this.#puts.flush();
    const answer = await this.#acquired(request, await this.#acquires.call(this.#asked(request, near)));
    // Not waited for: the commit does it again, and it only spares others a refusal.
    if (answer.state === 'acquired' && far.length > 0) this.#keepTags(far, answer.clock, 0).catch(ignore);
    return answer;
  }

  async #acquireMany(requests: readonly AcquireRequest[]): Promise<readonly (Acquisition | Error)[]> {
    this.#puts.flush();
    const asked = requests.map((request) => this.#asked(request, request.tags ?? noTags));
    const answers = await this.#acquires.all(asked);
    if (!answers.some(isText)) return answers as readonly (Acquisition | Error)[];
    return Promise.all(
      answers.map((answer, index) =>
        answer instanceof Error
          ? answer
          : this.#acquired(requests[index] as AcquireRequest, answer).catch((error) => error as Error),
      ),
    );
  }

  #asked(
    { key, token, leaseMs, replaces = '', unseen, tags = noTags }: AcquireRequest,
    near: readonly string[],
  ): ScriptItem {
    this.#own?.begun(key, tags, token);
    return { key, tags: near, settings: [wholeMs(leaseMs), unseen ? unseenMark : replaces], own: token };
  }

  async #acquired(request: AcquireRequest, answer: Acquisition | string): Promise<Acquisition> {
    if (typeof answer !== 'string') return answer;
    const read = decodeRead(answer);
    if (read.state === 'entry') return read;
    // Damage that the script does not see, and so would guard as an entry until it expires.
    const version = fieldText(answer, entryFields.version);
    return version === request.replaces ? leased : this.acquire({ ...request, replaces: version });
  }

  async commit(request: CommitRequest): Promise<boolean> {
    const { key, token, entry, ttlMs } = request;
    const [near, far] = this.#tagsBySlot(key, entry.tags);
    const loaded = this.#loaded(request, near);
    if (far.length > 0 && !(await this.#keepTags(far, entry.clock, wholeMs(ttlMs)))) {
      await this.release(key, token);
      return false;
    }
    this.#puts.flush();
    return this.#commits.call(loaded);
  }

  async #commitMany(requests: readonly CommitRequest[]): Promise<readonly (boolean | Error)[]> {
    let loaded: readonly ScriptItem[];
    try {
      loaded = requests.map((request) => this.#loaded(request, request.entry.tags));
    } catch {
      // What cannot be written concerns one of them alone.
      return Promise.all(requests.map((request) => this.commit(request).catch((error) => error as Error)));
    }
    this.#puts.flush();
    return this.#commits.all(loaded);
  }

  #loaded({ key, token, entry, ttlMs }: CommitRequest, near: readonly string[]): ScriptItem {
    const own = encodeEntry(entry);
    this.#own?.begun(key, entry.tags);
    this.#own?.loadBegan(entry.clock);
    return { key, tags: near, settings: [wholeMs(ttlMs), token === entry.version ? '' : token], own };
  }

  async renew(key: string, token: string, leaseMs: number): Promise<boolean> {
    this.#own?.begun(key, [], token);
    return (await this.#redis.script(renewScript, [key], [token, wholeMs(leaseMs)])) === 1;
  }

  async release(key: string, token: string): Promise<void> {
    this.#own?.begun(key, []);
    await this.#write(releaseScript, [key], [token]);
  }

  async put(key: string, entry: RemoteEntry, ttlMs: number): Promise<TierClock> {
    const ms = wholeMs(ttlMs);
    const [near, far] = this.#tagsBySlot(key, entry.tags);
    this.#own?.begun(key, entry.tags);
    // Those that are asked for at the same moment have the clock in common too.
    const end = entryFields.clock.start + entryFields.clock.length;
    const put = (text: string) =>
      this.#puts.call({ key, tags: near, settings: [text.slice(0, end), ms], own: text.slice(end) });
    let clock = await put(encodeEntry(entry));
    // Who has an answer has not given up: the caller was wrong about the time, and the server says what it is.
    if (clock < 0) clock = await put(encodeEntry({ ...entry, clock: -clock }));
    if (clock < 0) throw new RedisUnavailableError('put', { message: 'it came too late', sent: false });
    if (far.length > 0) await this.#keepTags(far, clock, ms);
    return clock;
  }

  delete(keys: readonly string[]): Promise<TierClock> {
    return this.#onAll(deleteScript, keys, []);
  }

  expire(keys: readonly string[]): Promise<TierClock> {
    return this.#onAll(expireScript, keys, []);
  }

  async touch(key: string, version: string, freshUntil: number, ttlMs: number): Promise<boolean> {
    this.#own?.begun(key, []);
    const args = [version, Math.floor(freshUntil), wholeMs(ttlMs)];
    return (await this.#write(touchScript, [key], args)) === 1;
  }

  async tagVersions(tags: readonly string[]): Promise<readonly (TierClock | undefined)[]> {
    this.#puts.flush();
    const stored = await this.#reads.read(tags);
    return stored.map(tagVersion);
  }

  async bumpTags(tags: readonly string[]): Promise<TierClock> {
    if (!this.#cluster) return this.#onAll(bumpTagsScript, tags, [0]);
    const near = tags.filter((tag) => hashTag(tag) !== tag);
    const far = tags.filter((tag) => hashTag(tag) === tag);
    const clocks = await Promise.all([
      near.length > 0 || far.length === 0 ? this.#onAll(bumpTagsScript, near, [0]) : 0,
      far.length > 0 ? this.#onAll(bumpTagsScript, far, [clockSkew]) : 0,
    ]);
    return Math.max(...clocks);
  }

  scan(prefix: string): AsyncIterable<readonly string[]> {
    return this.#redis.scan(prefix);
  }

  /** Ends the subscription. The executor is the caller's and stays open. */
  close(): Promise<void> {
    return this.coherence.close();
  }

  /** Runs a script that answers with a clock on any number of keys. The clock of none is that of the server now. */
  async #onAll(script: RedisScript, keys: readonly string[], args: readonly number[]): Promise<TierClock> {
    const groups = keys.length === 0 ? [[]] : commandGroups(keys, this.#cluster, mostKeys);
    const clocks = await Promise.all(
      groups.map((group) => this.#write(script, group, args) as Promise<number>),
    );
    return Math.max(...clocks);
  }

  /** Runs a script that tells others what it changed. */
  #write(script: RedisScript, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown> {
    this.#puts.flush();
    return this.#redis.script(script, [...keys, ...this.#log], [this.#channel, ...args]);
  }

  /** The tags that share the slot of the entry, and those that do not. */
  #tagsBySlot(key: string, tags: readonly string[]): [near: readonly string[], far: readonly string[]] {
    if (!this.#cluster || tags.length === 0) return [tags, []];
    const slot = hashTag(key);
    return [tags.filter((tag) => hashTag(tag) === slot), tags.filter((tag) => hashTag(tag) !== slot)];
  }

  async #keepTags(tags: readonly string[], clock: TierClock, ms: number): Promise<boolean> {
    const groups = commandGroups(tags, this.#cluster, mostKeys);
    const args = [clock, ms];
    const kept = await Promise.all(groups.map((group) => this.#redis.script(keepTagsScript, group, args)));
    return kept.every((reply) => reply === 1);
  }
}

const leased: Acquisition = { state: 'leased' };
const noTags: readonly string[] = [];

function isText(answer: unknown): answer is string {
  return typeof answer === 'string';
}

function stored(replies: readonly ScriptReply[]): readonly (boolean | Error)[] {
  return replies.map((reply) => refusal(reply) ?? reply === 1);
}

function ignore(): void {}

function tagVersion(stored: Stored): TierClock | undefined {
  return stored !== null && /^\d{1,16}$/.test(stored) ? Number(stored) : undefined;
}

/** Redis takes whole milliseconds from 1. */
function wholeMs(ms: number): number {
  return Math.max(1, Math.ceil(ms));
}
