import { leftBehind, mostArrivals } from '../async/transient-map.ts';
import { hash32 } from '../keys/hash32.ts';
import type { ResourceCounters } from '../metrics/metrics.ts';
import type { EntryKind, TierClock } from '../ports/remote-tier.ts';
import { Ghosts } from './ghosts.ts';
import { Queue } from './queue.ts';
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
  /** The stamp of the tag records at which they said last that it holds in its epoch; -1 for never. */
  sureAt: number;
  /** Until then it is served although the remote tier cannot be asked; 0 for an entry that was stored there. */
  degradedUntil: number;
  /** How many changes of tags had been heard when the load began. */
  readonly asOf: number;
  /** About how much it takes in memory; 0 where nobody counts. */
  readonly bytes: number;
  /** Reads since it came or was last passed over, up to {@link mostReads}. */
  reads: number;
  /** Whether it has proved itself: in the main queue. */
  main: boolean;
  /** Neighbours in its queue. */
  newer: MemoryEntry | undefined;
  older: MemoryEntry | undefined;
}

/** The epoch of a memory that no longer hears what others change. */
export const distrust = -2;

/** Reads that are counted; more say nothing more. */
const mostReads = 3;
/** Reads after which an entry that came lately has proved itself. */
const readsToStay = 1;
/** Share of the entries that may be new. */
const newShare = 0.3;

/**
 * Entries in memory, at most `maxEntries` that take at most `maxBytes`.
 *
 * What comes stands in a small queue and leaves from there unless it is read meanwhile, so that what is read once does
 * not push out what is read often; what was read moves to the main queue, where it is passed over as often as it was
 * read. A key that comes back soon after it left goes to the main queue at once. A hit counts and moves nothing.
 *
 * Knows its epoch of trust: an entry is believed only in the epoch in which it was read from the remote tier, and a
 * memory that misses changes has an epoch that no entry has.
 *
 * @see Yang et al., FIFO queues are all you need for cache eviction (S3-FIFO, SOSP 2023)
 */
export class MemoryTier {
  epoch: number;
  /** Whether it takes anything in. */
  open = true;
  evictions = 0;
  /** What the entries take together, about; 0 where nobody counts. */
  bytes = 0;

  readonly maxEntries: number;
  readonly maxBytes: number;
  #entries = new Map<string, MemoryEntry>();
  /** Since {@link MemoryTier.#entries} was made. */
  #arrivals = 0;
  readonly #new = new Queue<MemoryEntry>();
  readonly #main = new Queue<MemoryEntry>();
  readonly #ghosts: Ghosts;
  readonly #dropped: (entry: MemoryEntry) => void;
  #epochs = 1;

  /**
   * @param epoch - 1 for a memory that nobody else changes, {@link distrust} for one that waits to be armed.
   * @param dropped - Called with every entry that leaves.
   */
  constructor(
    maxEntries: number,
    epoch: number,
    dropped: (entry: MemoryEntry) => void,
    maxBytes: number = Number.POSITIVE_INFINITY,
  ) {
    this.maxEntries = maxEntries;
    this.maxBytes = maxBytes;
    this.epoch = epoch;
    this.#dropped = dropped;
    this.#ghosts = new Ghosts(maxEntries * 2);
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
    if (entry !== undefined && entry.reads < mostReads) entry.reads++;
    return entry;
  }

  /** Takes an entry in, in place of the one of its key. One that alone takes more than `maxBytes` is not kept. */
  set(entry: MemoryEntry): void {
    const before = this.#entries.get(entry.wire);
    if (before !== undefined) this.#remove(before);
    if (this.maxEntries === 0 || !this.open || entry.bytes > this.maxBytes) {
      this.#dropped(entry);
      return;
    }
    while (this.#entries.size >= this.maxEntries || this.bytes + entry.bytes > this.maxBytes) this.#evict();
    if (++this.#arrivals > mostArrivals) {
      this.#arrivals = 0;
      this.#entries = leftBehind(this.#entries);
    }
    this.#entries.set(entry.wire, entry);
    this.bytes += entry.bytes;
    // A new value of a key stays where the key has come to.
    if (before !== undefined) entry.reads = before.reads;
    entry.main = before?.main ?? this.#ghosts.take(hash32(entry.wire));
    (entry.main ? this.#main : this.#new).add(entry);
  }

  delete(wire: string): void {
    const entry = this.#entries.get(wire);
    if (entry !== undefined) this.#remove(entry);
  }

  /** Holds nothing, and takes nothing in until it is open again. */
  shut(): void {
    this.open = false;
    this.clear();
  }

  clear(): void {
    for (const entry of [...this.#entries.values()]) this.#remove(entry);
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

  /** As {@link MemoryTier.armed}, and nothing was missed since `lost`: what was believed then is believed again. */
  resumed(): void {
    this.epoch = this.#epochs;
    for (const entry of this.#entries.values()) entry.degradedUntil = 0;
  }

  #remove(entry: MemoryEntry): void {
    this.#entries.delete(entry.wire);
    (entry.main ? this.#main : this.#new).remove(entry);
    this.bytes -= entry.bytes;
    this.#dropped(entry);
  }

  #evict(): void {
    const tooManyNew = this.#new.size > this.#entries.size * newShare || this.#main.size === 0;
    const leaving = tooManyNew ? (this.#oldestNew() ?? this.#oldestMain()) : this.#oldestMain();
    if (leaving === undefined) return;
    if (!leaving.main) this.#ghosts.add(hash32(leaving.wire));
    this.evictions++;
    this.#remove(leaving);
  }

  /** The new entry that leaves; those before it that were read move to the main queue. */
  #oldestNew(): MemoryEntry | undefined {
    for (let entry = this.#new.oldest; entry !== undefined; entry = this.#new.oldest) {
      if (entry.reads < readsToStay) return entry;
      this.#new.remove(entry);
      entry.reads = 0;
      entry.main = true;
      this.#main.add(entry);
    }
    return undefined;
  }

  /** The entry of the main queue that leaves. Ends: each entry is passed over {@link mostReads} times at most. */
  #oldestMain(): MemoryEntry | undefined {
    for (let entry = this.#main.oldest; entry !== undefined; entry = this.#main.oldest) {
      if (entry.reads === 0) return entry;
      entry.reads--;
      this.#main.remove(entry);
      this.#main.add(entry);
    }
    return undefined;
  }
}
