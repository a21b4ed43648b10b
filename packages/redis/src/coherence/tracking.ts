import type { Coherence, CoherenceMode, CoherenceSink, RedisExecutor, RedisTracker } from '@cachekit/core';
import { headsScript } from '../scripts/heads.ts';
import { commandGroups } from '../slot-groups.ts';
import type { OwnWrites } from './own-writes.ts';

/** Keys per look-up. */
const mostKeys = 512;

/**
 * Hears of every change from the server itself, whoever makes it: another process, `redis-cli`, the end of a key's
 * time, eviction, a flush.
 *
 * It is armed while every master has confirmed. The loss of a connection is told at once if it closes and within two
 * seconds if it only falls silent. A server that refuses is left for `next`.
 */
export class TrackingCoherence implements Coherence {
  readonly #redis: RedisExecutor;
  readonly #prefix: string;
  readonly #own: OwnWrites;
  readonly #next: Coherence | undefined;
  readonly #fellBack: (to: CoherenceMode | undefined, reason: unknown) => void;
  #tracker: RedisTracker | undefined;
  #mode: CoherenceMode = 'tracking';
  #closed = false;
  /** Own keys that are to be looked up. */
  #asked: Set<string> | undefined;

  /**
   * @param next - What is used where the server refuses; without it memory is never armed then.
   * @param fellBack - Hears of it.
   */
  constructor(
    redis: RedisExecutor,
    prefix: string,
    own: OwnWrites,
    next: Coherence | undefined,
    fellBack: (to: CoherenceMode | undefined, reason: unknown) => void,
  ) {
    this.#fellBack = fellBack;
    this.#redis = redis;
    this.#prefix = prefix;
    this.#own = own;
    this.#next = next;
  }

  /** What is used now. */
  get mode(): CoherenceMode {
    return this.#mode;
  }

  start(sink: CoherenceSink): void {
    if (this.#tracker !== undefined || this.#closed) return;
    this.#tracker = this.#redis.tracker?.(this.#prefix);
    this.#tracker?.start({
      changed: (keys) => this.#changed(keys, sink),
      flushed: () => sink.changedAll(),
      ready: () => sink.armed(),
      lost: () => sink.lost(),
      refused: (error) => this.#fallBack(sink, error),
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#tracker?.close(), this.#next?.close()]);
  }

  #fallBack(sink: CoherenceSink, error: unknown): void {
    if (this.#next !== undefined) this.#mode = this.#next.mode;
    sink.fellBack?.(this.#next?.mode, error);
    this.#fellBack(this.#next?.mode, error);
    this.#next?.start(sink);
  }

  #changed(keys: readonly string[], sink: CoherenceSink): void {
    let foreign: string[] | undefined;
    for (const key of keys) {
      if (this.#own.has(key) && sink.holds?.(key) !== false) this.#lookUp(key, sink);
      else if (foreign === undefined) foreign = [key];
      else foreign.push(key);
    }
    if (foreign !== undefined) sink.changed(foreign);
  }

  #lookUp(key: string, sink: CoherenceSink): void {
    if (this.#asked !== undefined) {
      this.#asked.add(key);
      return;
    }
    const asked = new Set([key]);
    this.#asked = asked;
    queueMicrotask(() => {
      this.#asked = undefined;
      const groups = commandGroups([...asked], this.#redis.capabilities.cluster, mostKeys);
      for (const group of groups) void this.#settle(group, sink);
    });
  }

  async #settle(keys: readonly string[], sink: CoherenceSink): Promise<void> {
    let heads: readonly string[];
    try {
      heads = (await this.#redis.script(headsScript, keys, [])) as readonly string[];
    } catch {
      if (!this.#closed) sink.changed(keys);
      return;
    }
    if (this.#closed) return;
    for (let index = 0; index < keys.length; index++) {
      const finding = this.#own.finding(heads[index] as string);
      if (finding === 'unchanged') continue;
      const key = [keys[index] as string];
      if (finding.version === undefined) sink.changed(key);
      else sink.changed(key, finding.version);
    }
  }
}
