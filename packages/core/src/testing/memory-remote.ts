import { type Clock, systemClock } from '../ports/clock.ts';
import type { CoherenceSink } from '../ports/coherence.ts';
import type { TierClock } from '../ports/remote-tier.ts';

interface Stored {
  text: string;
  until: number;
}

interface Listener {
  readonly process: { hears(): boolean };
  readonly sink: CoherenceSink;
}

/** What several `MemoryRemoteTier`s share: plays the server. */
export class MemoryRemote {
  readonly #clock: Clock;
  readonly #values = new Map<string, Stored>();
  readonly #tags = new Map<string, TierClock>();
  readonly #listeners = new Set<Listener>();
  #last: TierClock = 0;

  constructor(options: { readonly clock?: Clock } = {}) {
    this.#clock = options.clock ?? systemClock;
  }

  /** The next moment; every one is later than the one before. */
  tick(): TierClock {
    this.#last = Math.max(this.#last + 1, this.#clock.now() * 1_000);
    return this.#last;
  }

  /** The time of the server, milliseconds since the epoch. */
  now(): number {
    return this.#clock.now();
  }

  /** The text under a key, if it has not expired. */
  get(key: string): string | undefined {
    const stored = this.#values.get(key);
    if (stored === undefined) return undefined;
    if (this.now() < stored.until) return stored.text;
    this.#values.delete(key);
    return undefined;
  }

  /** Whether the key goes away by itself. */
  expires(key: string): boolean {
    return (this.#values.get(key)?.until ?? 0) < Number.POSITIVE_INFINITY;
  }

  /** Writes any text, as a foreign client might. */
  put(key: string, text: string, ttlMs: number = Number.POSITIVE_INFINITY): void {
    this.#values.set(key, { text, until: this.now() + ttlMs });
  }

  /** Changes a text and not how long it is kept. */
  patch(key: string, text: string): void {
    const stored = this.#values.get(key);
    if (stored !== undefined) stored.text = text;
  }

  /** Removes an entry or a tag, as a `DEL` from outside would. */
  remove(key: string): void {
    this.#values.delete(key);
    this.#tags.delete(key);
  }

  /** Every key there is. */
  keys(): string[] {
    return [...this.#values.keys(), ...this.#tags.keys()];
  }

  /** Clock of the last bump of a tag. */
  tag(tag: string): TierClock | undefined {
    return this.#tags.get(tag);
  }

  /** Sets the clock of a tag, as if it had been bumped then. */
  setTag(tag: string, clock: TierClock): void {
    this.#tags.set(tag, clock);
  }

  /** Forgets a tag, as an eviction would. */
  forgetTag(tag: string): void {
    this.#tags.delete(tag);
  }

  /** Drops everything and says so, as FLUSHALL does. */
  flush(): void {
    this.#values.clear();
    this.#tags.clear();
    for (const { sink } of [...this.#listeners]) sink.changedAll();
  }

  /** Tells every process whose bus works. The writer too: it cannot know who else wrote. */
  publish(keys: readonly string[], version?: string): void {
    for (const { process, sink } of [...this.#listeners]) {
      if (process.hears()) sink.changed(keys, version);
    }
  }

  /** Adds a process that hears of changes. */
  listen(process: { hears(): boolean }, sink: CoherenceSink): () => void {
    const listener = { process, sink };
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
