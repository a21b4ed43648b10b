import { longestLeaseMs } from '../../entry.ts';
import type { TagRecord, TagRecords } from '../../memory/tag-records.ts';
import type { Clock } from '../../ports/clock.ts';
import type { RemoteLook, RemoteRead, RemoteTier, TierClock } from '../../ports/remote-tier.ts';
import type { Found, Looker, RemoteReader, TimeObserver } from './looker.ts';
import { readOtherTags, type Unsure } from './other-tags.ts';
import { validSince } from './valid-since.ts';

/** Looks that begin a read of their own: more would keep the first ones waiting. */
const mostLooks = 120;

/**
 * Reads keys and their tags from the remote tier, those of one tick together, and remembers what it says of the tags.
 *
 * An entry holds if every tag of it is known to the tier and was not invalidated after the load began:
 * `version <= clock`. Equal is valid: a tag that nobody ever invalidated carries the clock of the first entry that named it.
 *
 * Those that are one read fail together, so where a part of the tier can fail alone there is a read for each part.
 */
export class Looks {
  readonly #remote: RemoteReader;
  readonly #time: TimeObserver;
  readonly #clock: Clock;
  readonly #tags: TagRecords;
  /** The epoch of trust that a read belongs to. */
  readonly #epoch: () => number;
  #waiting: Looker[] = nobody;
  /** How many there were when the flush was put off last. */
  #seen = 0;
  /** How many reads were sent. */
  #looks = 0;
  #turn: PromiseWithResolvers<void> | undefined;
  /** One that was told last: an engine drops the code it made for objects of which it finds none. */
  readonly #kept: { looker?: Looker | undefined } = {};

  constructor(remote: RemoteReader, time: TimeObserver, clock: Clock, tags: TagRecords, epoch: () => number) {
    this.#remote = remote;
    this.#time = time;
    this.#clock = clock;
    this.#tags = tags;
    this.#epoch = epoch;
  }

  add(looker: Looker): void {
    if (this.#waiting.length > 0) {
      this.#waiting.push(looker);
      return;
    }
    this.#waiting = [looker];
    this.#seen = 0;
    queueMicrotask(this.#flush);
  }

  /**
   * Something that those may wait for who look in this tick, and that any of them resolves. One for all: most of them never
   * have to wait, and need it only because what waits goes on in the async context in which it began to.
   */
  get turn(): PromiseWithResolvers<void> {
    this.#turn ??= Promise.withResolvers();
    return this.#turn;
  }

  /** Rejects with TierError `TIER_FAILED`. */
  look(wire: string, records: readonly TagRecord[], sent: () => void = nothing): Promise<Found> {
    return new Promise((found, failed) => this.add({ wire, records, sent, found, failed }));
  }

  /** Waits as long as every microtask brings something new: callers that are a few promises apart travel together. */
  readonly #flush = (): void => {
    const waiting = this.#waiting;
    if (waiting.length > this.#seen && waiting.length < mostLooks) {
      this.#seen = waiting.length;
      queueMicrotask(this.#flush);
      return;
    }
    this.#waiting = nobody;
    this.#turn = undefined;
    const { tier } = this.#remote;
    if (tier.partOf === undefined) this.#read(waiting);
    else {
      const parts = Map.groupBy(waiting, ({ wire }) => tier.partOf?.(wire));
      for (const lookers of parts.values()) this.#read(lookers);
    }
  };

  #read(lookers: readonly Looker[]): void {
    const number = ++this.#looks;
    const epoch = this.#epoch();
    const asOf = this.#tags.changes;
    const wires = new Array<string>(lookers.length);
    const [first] = lookers;
    let last = first?.records ?? none;
    // Most that travel together have the same tags.
    let asked = last;
    let others: TagRecord[] | undefined;
    for (let index = 0; index < lookers.length; index++) {
      const looker = lookers[index] as Looker;
      const { records } = looker;
      looker.sent();
      wires[index] = looker.wire;
      if (records === last) continue;
      if (others === undefined) {
        others = [];
        asked = others;
        append(others, last, number);
      }
      append(others, records, number);
      last = records;
    }
    const tags = asked.map(tagWire);
    this.#ask(wires, tags).then(
      ({ reads, versions }) => {
        for (let place = 0; place < asked.length; place++) {
          const record = asked[place] as TagRecord;
          const version = versions[place];
          record.answer = version;
          if (version !== undefined) this.#tags.learned(record, version, epoch, asOf);
        }
        this.#tell(lookers, reads);
      },
      (error) => {
        for (const looker of lookers) looker.failed(error);
      },
    );
  }

  /** The records have their answers, until others are told. */
  #tell(lookers: readonly Looker[], reads: readonly RemoteRead[]): void {
    let unsure: Unsure[] | undefined;
    // Most entries that are read together have the same tags, and so do their keys.
    let tags: readonly string[] | undefined;
    let records: readonly TagRecord[] | undefined;
    let since: TierClock | undefined;
    for (let index = 0; index < lookers.length; index++) {
      const looker = lookers[index] as Looker;
      const read = reads[index] ?? absent;
      if (read.state !== 'entry') {
        looker.found({ read: this.#believed(read), valid: undefined, others: none });
        continue;
      }
      const { entry } = read;
      if (tags !== entry.tags || records !== looker.records) {
        tags = entry.tags;
        records = looker.records;
        since = validSince(tags, records);
      }
      const holds = since !== undefined && since <= entry.clock;
      if (since === undefined || (holds && tags.length > records.length)) {
        unsure ??= [];
        unsure.push({ looker, entry, versions: looker.records.map(({ answer }) => answer) });
      } else looker.found({ read, valid: holds ? entry : undefined, others: none });
    }
    this.#kept.looker = lookers[0];
    if (unsure !== undefined) void readOtherTags(this.#remote, this.#tags, this.#epoch(), unsure);
  }

  #ask(wires: readonly string[], tags: readonly string[]): Promise<RemoteLook> {
    if (this.#time.known) return this.#remote.read('getMany', (tier) => lookedAt(tier, wires, tags), wires);
    // Once per process: what "fresh until" means here is not known before.
    const ask = async (tier: RemoteTier): Promise<RemoteLook> => {
      const sentAt = this.#clock.now();
      const time = tier.time().then((now) => this.#time.observe(now, sentAt));
      const [look] = await Promise.all([lookedAt(tier, wires, tags), time]);
      return look;
    };
    return this.#remote.read('getMany', ask, wires);
  }

  /**
   * A lease that nobody can hold is none, and nobody waits for it: one that is longer than any, or one that is there
   * although it is over, because its key does not expire. If it turns out to be held, the tier refuses another.
   */
  #believed(read: RemoteRead): RemoteRead {
    if (read.state !== 'leased') return read;
    const leftMs = read.until - this.#time.toTier(this.#clock.now());
    return leftMs < -timeErrorMs || leftMs > longestLeaseMs + timeErrorMs ? damaged : read;
  }
}

/** By how much the tier's time may be misjudged here, in milliseconds. */
const timeErrorMs = 1_000;

const none: readonly TagRecord[] = [];
const absent: RemoteRead = { state: 'absent' };
const damaged: RemoteRead = { state: 'absent', damaged: true };

/** Never filled: whoever comes first brings a list. */
const nobody: Looker[] = [];

function nothing(): void {}

/** Adds those that the look has not asked for yet. */
function append(asked: TagRecord[], records: readonly TagRecord[], look: number): void {
  for (let place = 0; place < records.length; place++) {
    const record = records[place] as TagRecord;
    if (record.asked === look) continue;
    record.asked = look;
    asked.push(record);
  }
}

function tagWire({ wire }: TagRecord): string {
  return wire;
}

async function both(
  tier: RemoteTier,
  wires: readonly string[],
  tags: readonly string[],
): Promise<RemoteLook> {
  const [reads, versions] = await Promise.all([tier.getMany(wires), tier.tagVersions(tags)]);
  return { reads, versions };
}

function lookedAt(tier: RemoteTier, wires: readonly string[], tags: readonly string[]): Promise<RemoteLook> {
  return tier.look?.(wires, tags) ?? both(tier, wires, tags);
}
