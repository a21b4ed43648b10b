import {
  type AcquireRequest,
  type Acquisition,
  type Coherence,
  type CoherenceMode,
  type CommitRequest,
  decodeRead,
  encodeEntry,
  entryFields,
  fieldText,
  type RedisArgument,
  type RedisExecutor,
  type RedisScript,
  type RemoteEntry,
  type RemoteLook,
  type RemoteRead,
  type RemoteTierCapabilities,
  systemClock,
  type TierClock,
} from '@cachekit/core';
import { createCoherence } from '../coherence/create-coherence.ts';
import { OwnWrites } from '../coherence/own-writes.ts';
import { RedisUnavailableError } from '../errors.ts';
import { changesChannel, changesLog, hashTag } from '../keys.ts';
import { acquireScript, unseenMark } from '../scripts/acquire.ts';
import { bumpTagsScript } from '../scripts/bump-tags.ts';
import { commitScript } from '../scripts/commit.ts';
import { deleteScript } from '../scripts/delete.ts';
import { expireScript } from '../scripts/expire.ts';
import { loggedMark } from '../scripts/fragments.ts';
import { putScript } from '../scripts/put.ts';
import { releaseScript } from '../scripts/release.ts';
import { renewScript } from '../scripts/renew.ts';
import { touchScript } from '../scripts/touch.ts';
import { commandGroups } from '../slot-groups.ts';
import type { BatchedCalls } from './batched-calls.ts';
import { BatchedReads, type Stored } from './batched-reads.ts';
import { batchedScript, type ScriptItem } from './batched-script.ts';
import { FallbackListeners } from './fallback-listeners.ts';
import { FarTags } from './far-tags.ts';
import type { CoherenceFallback, RedisTier } from './redis-tier.ts';
import { acquisitions, clocks, commits, leased } from './script-answers.ts';

/** Keys per script call. */
const mostKeys = 512;

/** Script calls of one request that are under way together: of more the last would be answered too late, by a Redis that works. */
const mostCalls = 16;

/**
 * By how much the clocks of two masters may differ, in microseconds. A tag in another slot than its entries is another
 * master's, so its version is set this much later.
 */
const clockSkew = 50_000;

/** {@link RedisTier} over an executor. */
export class TierOverRedis implements RedisTier {
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
  readonly #farTags: FarTags;
  readonly #fallbacks = new FallbackListeners();

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
    this.capabilities = { fenced: true, push: coherence !== 'ttl' && coherence !== 'log', cluster };
    this.#redis = redis;
    this.#cluster = cluster;
    // A slot fails with its master, and which one that is the client alone knows.
    if (cluster) this.partOf = hashTag;
    else {
      this.acquireMany = (requests) => this.#acquireMany(requests);
      this.commitMany = (requests) => this.#commitMany(requests);
    }
    const own = coherence === 'any' || coherence === 'tracking' ? new OwnWrites(systemClock) : undefined;
    this.#own = own;
    this.#farTags = new FarTags(redis);
    this.#reads = new BatchedReads(redis);
    const common = { keys: this.#log, args: [this.#channel] };
    this.#acquires = batchedScript(redis, acquireScript, { keys: [], args: [] }, (replies) =>
      acquisitions(replies, own),
    );
    this.#commits = batchedScript(redis, commitScript, common, commits);
    const patience = Math.ceil(1_000 * (redis.timeoutMs ?? 0));
    this.#puts = batchedScript(
      redis,
      putScript,
      { keys: this.#log, args: [this.#channel, patience] },
      (replies) => clocks(replies, own),
    );
    this.coherence = createCoherence(coherence, {
      redis,
      namespace,
      log: this.#log[0],
      own,
      fellBack: (to, reason) => this.#fallbacks.tell(to, reason),
    });
  }

  onFallback(listener: (fallback: CoherenceFallback) => void): () => void {
    return this.#fallbacks.add(listener);
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
    const [near, far] = this.#farTags.apart(key, tags);
    this.#puts.flush();
    const answer = await this.#acquired(request, await this.#acquires.call(this.#asked(request, near)));
    // Not waited for: the commit does it again, and it only spares others a refusal.
    if (answer.state === 'acquired' && far.length > 0) this.#farTags.keep(far, answer.clock, 0).catch(ignore);
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
    const [near, far] = this.#farTags.apart(key, entry.tags);
    const loaded = this.#loaded(request, near);
    if (far.length > 0 && !(await this.#farTags.keep(far, entry.clock, wholeMs(ttlMs)))) {
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
    const [near, far] = this.#farTags.apart(key, entry.tags);
    this.#own?.begun(key, entry.tags);
    // Those that are asked for at the same moment have the clock in common too.
    const end = entryFields.clock.start + entryFields.clock.length;
    const put = (text: string) =>
      this.#puts.call({ key, tags: near, settings: [text.slice(0, end), ms], own: text.slice(end) });
    let clock = await put(encodeEntry(entry));
    // Who has an answer has not given up: the caller was wrong about the time, and the server says what it is.
    if (clock < 0) clock = await put(encodeEntry({ ...entry, clock: -clock }));
    if (clock < 0) throw new RedisUnavailableError('put', { message: 'it came too late', sent: false });
    if (far.length > 0) await this.#farTags.keep(far, clock, ms);
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
    let clock = 0;
    for (let from = 0; from < groups.length; from += mostCalls) {
      const together = groups.slice(from, from + mostCalls);
      const calls = together.map((group) => this.#write(script, group, args) as Promise<number>);
      clock = Math.max(clock, ...(await Promise.all(calls)));
    }
    return clock;
  }

  /** Runs a script that tells others what it changed. */
  #write(script: RedisScript, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown> {
    this.#puts.flush();
    return this.#redis.script(script, [...keys, ...this.#log], [this.#channel, ...args]);
  }
}

const noTags: readonly string[] = [];

function isText(answer: unknown): answer is string {
  return typeof answer === 'string';
}

function ignore(): void {}

function tagVersion(stored: Stored): TierClock | undefined {
  return stored !== null && /^\d{1,16}$/.test(stored) ? Number(stored) : undefined;
}

/** Redis takes whole milliseconds from 1. */
function wholeMs(ms: number): number {
  return Math.max(1, Math.ceil(ms));
}
