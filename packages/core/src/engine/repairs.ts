import type { CacheEvents } from '../cache/cache-events.ts';
import type { Events } from '../events.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { RemoteTier, TierClock } from '../ports/remote-tier.ts';

/** Invalidations that are kept one by one; with more of them everything is invalidated instead. */
const mostKept = 10_000;
/** How long after an attempt that failed the next one is made. */
const retryAfterMs = 1_000;
/** Keys or tags of one call. */
const mostAtOnce = 500;

/** An invalidation that has still to be carried out. */
export interface Undone {
  readonly keys?: readonly string[];
  readonly tags?: readonly string[];
  readonly prefix?: string;
}

/** Calls the remote tier even while its breaker is open. */
export interface RemoteAttempt {
  attempt<T>(operation: string, call: (tier: RemoteTier) => Promise<T>): Promise<T>;
}

/**
 * Invalidations that did not reach the remote tier: each once, at most {@link mostKept} of them, carried out before this
 * process takes anything from the tier again.
 *
 * They live in this process: what is pending when it dies is lost.
 */
export class Repairs {
  readonly #clock: Clock;
  readonly #events: Events<CacheEvents>;
  /** The tag that every entry carries. */
  readonly #everything: string;
  readonly #remote: RemoteAttempt;
  readonly #deletePrefix: (tier: RemoteTier, prefix: string) => Promise<TierClock>;
  readonly #keys = new Set<string>();
  readonly #tags = new Set<string>();
  readonly #prefixes = new Set<string>();
  #replaying: Promise<void> | undefined;
  #timer: Timer | undefined;

  constructor(
    remote: RemoteAttempt,
    clock: Clock,
    events: Events<CacheEvents>,
    everything: string,
    deletePrefix: (tier: RemoteTier, prefix: string) => Promise<TierClock>,
  ) {
    this.#remote = remote;
    this.#clock = clock;
    this.#events = events;
    this.#everything = everything;
    this.#deletePrefix = deletePrefix;
  }

  get pending(): number {
    return this.#keys.size + this.#tags.size + this.#prefixes.size;
  }

  add({ keys = [], tags = [], prefix }: Undone): void {
    for (const key of keys) this.#keys.add(key);
    for (const tag of tags) this.#tags.add(tag);
    if (prefix !== undefined) this.#prefixes.add(prefix);
    if (this.pending > mostKept || this.#tags.has(this.#everything)) {
      this.#keys.clear();
      this.#prefixes.clear();
      this.#tags.clear();
      this.#tags.add(this.#everything);
    }
    this.#tell('pending');
    this.#later();
  }

  /** Carries out what is pending. @throws TierError `TIER_FAILED`; the rest stays pending. */
  replay(): Promise<void> {
    this.#replaying ??= this.#replay().finally(() => {
      this.#replaying = undefined;
    });
    return this.#replaying;
  }

  /** Ends the attempts. */
  stop(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.pending > 0) this.#tell('lost');
  }

  async #replay(): Promise<void> {
    while (this.pending > 0) {
      const tags = some(this.#tags);
      if (tags.length > 0) await this.#remote.attempt('bumpTags', (tier) => tier.bumpTags(tags));
      for (const tag of tags) this.#tags.delete(tag);
      const keys = some(this.#keys);
      if (keys.length > 0) await this.#remote.attempt('delete', (tier) => tier.delete(keys));
      for (const key of keys) this.#keys.delete(key);
      for (const prefix of this.#prefixes) {
        await this.#remote.attempt('delete', (tier) => this.#deletePrefix(tier, prefix));
        this.#prefixes.delete(prefix);
      }
    }
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#tell('done');
  }

  #later(): void {
    if (this.#timer !== undefined) return;
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined;
      this.replay().catch(() => {
        if (this.pending > 0) this.#later();
      });
    }, retryAfterMs);
  }

  #tell(state: 'pending' | 'done' | 'lost'): void {
    if (this.#events.heard('repair')) this.#events.emit('repair', { state, pending: this.pending });
  }
}

function some(set: ReadonlySet<string>): string[] {
  const taken: string[] = [];
  for (const member of set) {
    if (taken.length === mostAtOnce) break;
    taken.push(member);
  }
  return taken;
}
