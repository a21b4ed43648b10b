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
  /** Each by the number of the last invalidation of it. */
  readonly #keys = new Map<string, number>();
  readonly #tags = new Map<string, number>();
  readonly #prefixes = new Map<string, number>();
  #added = 0;
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
    const number = ++this.#added;
    for (const key of keys) this.#keys.set(key, number);
    for (const tag of tags) this.#tags.set(tag, number);
    if (prefix !== undefined) this.#prefixes.set(prefix, number);
    if (this.pending > mostKept || this.#tags.has(this.#everything)) {
      this.#keys.clear();
      this.#prefixes.clear();
      this.#tags.clear();
      this.#tags.set(this.#everything, number);
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
      await this.#carryOut(this.#tags, mostAtOnce, 'bumpTags', (tier, tags) => tier.bumpTags(tags));
      await this.#carryOut(this.#keys, mostAtOnce, 'delete', (tier, keys) => tier.delete(keys));
      await this.#carryOut(this.#prefixes, 1, 'delete', (tier, [prefix = '']) =>
        this.#deletePrefix(tier, prefix),
      );
    }
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#tell('done');
  }

  /** What is invalidated again meanwhile stays pending: it changed after what is carried out now. */
  async #carryOut(
    all: Map<string, number>,
    most: number,
    operation: string,
    call: (tier: RemoteTier, some: readonly string[]) => Promise<TierClock>,
  ): Promise<void> {
    const some = [...all].slice(0, most);
    if (some.length === 0) return;
    const names = some.map(([name]) => name);
    await this.#remote.attempt(operation, (tier) => call(tier, names));
    for (const [name, number] of some) if (all.get(name) === number) all.delete(name);
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
