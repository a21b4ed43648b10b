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
  /** Until then it is fresh, by the clock of this process; 0 if it was made stale on purpose. */
  freshUntil: number;
  /** In which epoch of trust it was known to be what the remote tier holds; -1 since somebody changed it. */
  epoch: number;
  /** Until then it is served although the remote tier cannot be asked; 0 for an entry that was stored there. */
  degradedUntil: number;
  /** How many changes of tags had been heard when the load began. */
  readonly asOf: number;
  /** Not refreshed before; moves after a refresh that failed. */
  retryAt: number;
  /** Read since the last time the hand of the clock came by. */
  visited: boolean;
}

/** The epoch of a memory that no longer hears what others change. */
export const distrust = -2;

/**
 * Entries in memory, at most `maxEntries`; the oldest that was not read again makes room.
 *
 * Knows its epoch of trust: an entry is believed only in the epoch in which it was read from the remote tier, and a
 * memory that misses changes has an epoch that no entry has.
 *
 * @see Corbato, A Paging Experiment with the Multics System (second chance)
 */
export class MemoryTier {
  epoch: number;
  evictions = 0;

  readonly maxEntries: number;
  readonly #entries = new Map<string, MemoryEntry>();
  readonly #dropped: (entry: MemoryEntry) => void;
  #epochs = 1;

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
    while (this.#entries.size >= this.maxEntries) this.#evict();
    this.#entries.set(entry.wire, entry);
  }

  delete(wire: string): void {
    const entry = this.#entries.get(wire);
    if (entry === undefined) return;
    this.#entries.delete(wire);
    this.#dropped(entry);
  }

  clear(): void {
    for (const entry of this.#entries.values()) this.#dropped(entry);
    this.#entries.clear();
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
    for (const [wire, entry] of this.#entries) {
      this.#entries.delete(wire);
      if (entry.visited) {
        entry.visited = false;
        this.#entries.set(wire, entry);
        continue;
      }
      this.evictions++;
      this.#dropped(entry);
      return;
    }
  }
}
