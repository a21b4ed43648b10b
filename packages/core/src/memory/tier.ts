import type { ResourceCounters } from '../metrics.ts';
import type { EntryKind, TierClock } from '../ports/remote-tier.ts';
import type { TagRecord } from './tag-records.ts';

/** An entry in memory. The value is shared by all who read it. */
export interface MemoryEntry {
  readonly wire: string;
  readonly kind: EntryKind;
  readonly value: unknown;
  /** What a hit returns: made once, so that a hit makes nothing. */
  readonly promise: Promise<unknown>;
  /** When the load began, by the tier's clock. */
  readonly clock: TierClock;
  readonly version: string;
  readonly tags: readonly TagRecord[];
  readonly counters: ResourceCounters;
  /** How long the load took. */
  readonly loadMs: number;
  /** Until then it is fresh, by the clock of this process; 0 if it was made stale on purpose. */
  freshUntil: number;
  /** Until then a read has nothing to do but to take it: `freshUntil`, or earlier where it is refreshed ahead. */
  quietUntil: number;
  /** In which epoch of trust it was known to be what the remote tier holds; -1 since somebody changed it. */
  epoch: number;
  /** Until then it is served although the remote tier cannot be asked; 0 for an entry that was stored there. */
  degradedUntil: number;
  /** How many changes of tags had been heard when the load began. */
  readonly asOf: number;
  /** Read since the hand last came by. */
  visited: boolean;
  /** Neighbours in the order of arrival. */
  newer: MemoryEntry | undefined;
  older: MemoryEntry | undefined;
}

/** The epoch of a memory that no longer hears what others change. */
export const distrust = -2;

/**
 * Entries in memory, at most `maxEntries`. A hand goes from the oldest to the newest and again; the first entry it meets
 * that was not read since it last came by makes room. A hit moves nothing.
 *
 * Knows its epoch of trust: an entry is believed only in the epoch in which it was read from the remote tier, and a
 * memory that misses changes has an epoch that no entry has.
 *
 * @see Zhang et al., SIEVE is Simpler than LRU (NSDI 2024)
 */
export class MemoryTier {
  epoch: number;
  evictions = 0;

  readonly maxEntries: number;
  readonly #entries = new Map<string, MemoryEntry>();
  readonly #dropped: (entry: MemoryEntry) => void;
  #epochs = 1;
  #newest: MemoryEntry | undefined;
  #oldest: MemoryEntry | undefined;
  #hand: MemoryEntry | undefined;

  /**
   * @param epoch - 1 for a memory that nobody else changes, {@link distrust} for one that waits to be armed.
   * @param dropped - Called with every entry that leaves.
   */
  constructor(maxEntries: number, epoch: number, dropped: (entry: MemoryEntry) => void) {
    this.maxEntries = maxEntries;
    this.epoch = epoch;
    this.#dropped = dropped;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Wire keys of what is here; may change while it is gone through. */
  wires(): Iterable<string> {
    return this.#entries.keys();
  }

  /** As {@link MemoryTier.get}, and does not count as read. */
  look(wire: string): MemoryEntry | undefined {
    return this.#entries.get(wire);
  }

  get(wire: string): MemoryEntry | undefined {
    const entry = this.#entries.get(wire);
    if (entry !== undefined) entry.visited = true;
    return entry;
  }

  set(entry: MemoryEntry): void {
    this.delete(entry.wire);
    if (this.maxEntries === 0) {
      this.#dropped(entry);
      return;
    }
    if (this.#entries.size >= this.maxEntries) this.#evict();
    this.#entries.set(entry.wire, entry);
    entry.older = this.#newest;
    if (this.#newest !== undefined) this.#newest.newer = entry;
    this.#newest = entry;
    this.#oldest ??= entry;
  }

  delete(wire: string): void {
    const entry = this.#entries.get(wire);
    if (entry === undefined) return;
    this.#entries.delete(wire);
    const { newer, older } = entry;
    if (this.#hand === entry) this.#hand = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    entry.newer = undefined;
    entry.older = undefined;
    this.#dropped(entry);
  }

  clear(): void {
    for (const wire of [...this.#entries.keys()]) this.delete(wire);
  }

  /** Somebody changed the key: anything but this version must be compared with the remote tier before it is served. */
  changed(wire: string, version: string | undefined): void {
    const entry = this.#entries.get(wire);
    if (entry !== undefined && entry.version !== version) entry.epoch = -1;
  }

  /** From now on changes may be missed. */
  lost(): void {
    this.epoch = distrust;
  }

  /** From now on changes are heard; what is here is from an earlier epoch, and the remote tier can be asked again. */
  armed(): void {
    this.epoch = ++this.#epochs;
    for (const entry of this.#entries.values()) entry.degradedUntil = 0;
  }

  #evict(): void {
    // Ends after one round at most: the hand leaves nothing visited behind it.
    let entry = this.#hand ?? this.#oldest;
    while (entry?.visited) {
      entry.visited = false;
      entry = entry.newer ?? this.#oldest;
    }
    if (entry === undefined) return;
    this.#hand = entry.newer;
    this.evictions++;
    this.delete(entry.wire);
  }
}
