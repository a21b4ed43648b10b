import type { TierClock } from '../ports/remote-tier.ts';

/** What this process knows of one tag. Entries hold the record itself, so that checking a tag is one comparison. */
export interface TagRecord {
  readonly wire: string;
  /** Clock of the last invalidation, as far as known in `epoch`. */
  version: TierClock;
  /** The epoch of trust in which `version` was learned; -1 since somebody changed it. */
  epoch: number;
  /** Number of the last change heard, by {@link TagRecords.changes}. */
  changedAt: number;
  /** How many entries and reads hold the record; at none it may be forgotten. */
  holders: number;
  /** Whether it stands in the list of those that nobody held when it came there. */
  idle: boolean;
  /** Number of the last look that asked for it, and what that look is being told. */
  asked: number;
  answer: TierClock | undefined;
}

/** How many changes of tags that nothing carries are remembered one by one. */
const mostMissed = 1_000;
/** How many tags are kept that nobody holds any more: most are asked for again at once. */
const mostIdle = 1_000;

/**
 * The tags that something in memory carries, and some more; grows with memory, not with the number of tags ever
 * invalidated.
 */
export class TagRecords {
  /** How many changes were heard so far. */
  changes = 0;
  /** Another one whenever any record says something else than before. */
  stamp = 0;

  readonly #records = new Map<string, TagRecord>();
  #idle: TagRecord[] = [];
  /** What was retained last. */
  #last: readonly TagRecord[] = [];
  /** Changes of tags that nothing here carried, by their number; a load may still add such a tag to its value. */
  readonly #missed = new Map<string, number>();
  /** The last number that {@link TagRecords.#missed} had to forget. */
  #forgotten = 0;
  readonly #initialEpoch: number;

  /** @param initialEpoch - In which epoch a tag that was never heard of counts as never invalidated; -1 for none. */
  constructor(initialEpoch: number) {
    this.#initialEpoch = initialEpoch;
  }

  /** @param besides - One more. */
  retain(wires: readonly string[], besides?: string): readonly TagRecord[] {
    const records = this.#likeLast(wires, besides) ?? this.#found(wires, besides);
    for (let index = 0; index < records.length; index++) (records[index] as TagRecord).holders++;
    return records;
  }

  release(records: readonly TagRecord[]): void {
    for (let index = 0; index < records.length; index++) {
      const record = records[index] as TagRecord;
      if (--record.holders > 0 || record.idle) continue;
      record.idle = true;
      if (this.#idle.push(record) > mostIdle) this.#forgetIdle();
    }
  }

  get(wire: string): TagRecord | undefined {
    return this.#records.get(wire);
  }

  /** Somebody invalidated the tag, nobody here knows when: nothing that carries it is trusted. */
  changed(wire: string): TagRecord | undefined {
    const record = this.#records.get(wire);
    if (record === undefined) {
      this.#miss(wire);
      return undefined;
    }
    record.epoch = -1;
    record.changedAt = ++this.changes;
    this.stamp++;
    return record;
  }

  /** As {@link TagRecords.changed}, for every tag whose key begins with the prefix. */
  changedPrefix(prefix: string): void {
    for (const wire of this.#records.keys()) {
      if (!wire.startsWith(prefix)) continue;
      // What nobody but this memory knows is told by the entries, which are gone.
      if (this.#initialEpoch === -1) this.changed(wire);
    }
  }

  changedAll(): void {
    const now = ++this.changes;
    this.stamp++;
    this.#missed.clear();
    this.#forgotten = now;
    for (const record of this.#records.values()) {
      record.epoch = -1;
      record.changedAt = now;
    }
  }

  /** The tag was invalidated at `version`, and nobody else can do so: the tier is this memory alone. */
  bumped(wire: string, version: TierClock): void {
    const record = this.#records.get(wire);
    if (record === undefined) {
      this.#miss(wire);
      return;
    }
    record.version = version;
    record.changedAt = ++this.changes;
    this.stamp++;
  }

  /** Whether the tag may have been invalidated since `changes` was `asOf`, carried by something here or not. */
  changedSince(wire: string, asOf: number): boolean {
    const number = this.#records.get(wire)?.changedAt ?? this.#missed.get(wire) ?? 0;
    // A record may be younger than a change that was missed before it.
    return Math.max(number, this.#missed.get(wire) ?? 0, this.#forgotten) > asOf;
  }

  /** What a read said that began when `changes` was `asOf`; ignored if a change was heard since. */
  learned(record: TagRecord, version: TierClock, epoch: number, asOf: number): void {
    if (record.changedAt > asOf) return;
    if (record.version !== version || record.epoch !== epoch) this.stamp++;
    record.version = version;
    record.epoch = epoch;
  }

  /** Keys that are read one after the other often have the same tags. */
  #likeLast(wires: readonly string[], besides: string | undefined): readonly TagRecord[] | undefined {
    const last = this.#last;
    if (last.length !== (besides === undefined ? wires.length : wires.length + 1)) return undefined;
    for (let index = 0; index < last.length; index++) {
      const record = last[index] as TagRecord;
      if (record.wire !== (index < wires.length ? wires[index] : besides)) return undefined;
      if (record.holders === 0 && !record.idle) return undefined;
    }
    return last;
  }

  #found(wires: readonly string[], besides: string | undefined): readonly TagRecord[] {
    const records: TagRecord[] = new Array(besides === undefined ? wires.length : wires.length + 1);
    for (let index = 0; index < wires.length; index++) records[index] = this.#of(wires[index] as string);
    if (besides !== undefined) records[wires.length] = this.#of(besides);
    this.#last = records;
    return records;
  }

  #of(wire: string): TagRecord {
    let record = this.#records.get(wire);
    if (record === undefined) {
      record = {
        wire,
        version: 0,
        epoch: this.#initialEpoch,
        changedAt: 0,
        holders: 0,
        idle: false,
        asked: 0,
        answer: undefined,
      };
      this.#records.set(wire, record);
    }
    return record;
  }

  #forgetIdle(): void {
    const idle = this.#idle;
    this.#idle = [];
    for (const record of idle) {
      record.idle = false;
      if (record.holders > 0) continue;
      this.#records.delete(record.wire);
      if (record.changedAt > this.#forgotten) this.#remember(record.wire, record.changedAt);
    }
  }

  #miss(wire: string): void {
    // Keys of entries come the same way as tags do; no part of a key but the name of a tag begins like this.
    if (!wire.includes('#')) return;
    this.#remember(wire, ++this.changes);
  }

  #remember(wire: string, changedAt: number): void {
    this.#missed.delete(wire);
    this.#missed.set(wire, changedAt);
    if (this.#missed.size <= mostMissed) return;
    for (const [oldest, number] of this.#missed) {
      this.#missed.delete(oldest);
      this.#forgotten = Math.max(this.#forgotten, number);
      break;
    }
  }
}
