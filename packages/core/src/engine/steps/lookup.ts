import { longestLeaseMs } from '../../entry.ts';
import type { TagRecord, TagRecords } from '../../memory/tag-records.ts';
import type { Clock } from '../../ports/clock.ts';
import type { RemoteEntry, RemoteRead, RemoteTier, TierClock } from '../../ports/remote-tier.ts';

/** Calls the remote tier and rejects in time. */
export interface RemoteReader {
  read<T>(
    operation: string,
    call: (tier: RemoteTier) => Promise<T>,
    keys?: string | readonly string[],
  ): Promise<T>;
}

/** Learns the tier's clock from an answer, and tells it. */
export interface TimeObserver {
  readonly known: boolean;
  observe(clock: TierClock, sentAt: number): void;
  toTier(localMs: number): number;
}

/** What a look into the remote tier found. */
export interface Found {
  readonly read: RemoteRead;
  /** The entry, if all of its tags say that it still holds. */
  readonly valid: RemoteEntry | undefined;
  /** Tags of the entry of which its key, or the tier at first, did not know; whoever looked releases them. */
  readonly others: readonly TagRecord[];
}

/**
 * Reads one key and its tags from the remote tier and remembers what it says of the tags.
 *
 * An entry holds if every tag of it is known to the tier and was not invalidated after the load began:
 * `version <= clock`. Equal is valid: a tag that nobody ever invalidated carries the clock of the first entry that named it.
 *
 * @param records - The tags of the key, and the one of the namespace.
 * @throws TierError `TIER_FAILED`
 */
export async function lookup(
  remote: RemoteReader,
  time: TimeObserver,
  clock: Clock,
  wire: string,
  records: readonly TagRecord[],
  tags: TagRecords,
  epoch: number,
): Promise<Found> {
  const asOf = tags.changes;
  const wires = records.map((record) => record.wire);
  const [reads, versions] = await remote.read(
    'getMany',
    async (tier) => {
      const sentAt = clock.now();
      return await Promise.all([
        tier.getMany([wire]),
        tier.tagVersions(wires),
        // Once per process: what "fresh until" means here is not known before.
        time.known ? undefined : tier.time().then((now) => time.observe(now, sentAt)),
      ]);
    },
    wire,
  );
  const known = new Map<string, TierClock | undefined>();
  for (const [index, record] of records.entries()) {
    const version = versions[index];
    known.set(record.wire, version);
    if (version !== undefined) tags.learned(record, version, epoch, asOf);
  }
  const read = believed(reads[0], time, clock);
  if (read.state !== 'entry') return { read, valid: undefined, others: none };
  const { entry } = read;
  const unknown = entry.tags.filter((tag) => known.get(tag) === undefined);
  const others = unknown.length === 0 ? none : await learnOthers(remote, unknown, tags, epoch, known);
  return { read, valid: holds(entry, records, known) ? entry : undefined, others };
}

/** One key of a look at many. */
export interface Sought {
  readonly wire: string;
  /** The tags of the key, and the one of the namespace. */
  readonly records: readonly TagRecord[];
}

/**
 * As {@link lookup} for any number of keys: one read of the keys and their tags together, and one more if an entry
 * carries a tag of which its key does not know.
 *
 * @throws TierError `TIER_FAILED`
 */
export async function lookupMany(
  remote: RemoteReader,
  time: TimeObserver,
  clock: Clock,
  sought: readonly Sought[],
  tags: TagRecords,
  epoch: number,
): Promise<Found[]> {
  const asOf = tags.changes;
  const records = new Map<string, TagRecord>();
  for (const one of sought) for (const record of one.records) records.set(record.wire, record);
  const known = new Map<string, TierClock | undefined>();
  const [reads, versions] = await remote.read(
    'getMany',
    async (tier) => {
      const sentAt = clock.now();
      return await Promise.all([
        tier.getMany(sought.map(({ wire }) => wire)),
        tier.tagVersions([...records.keys()]),
        time.known ? undefined : tier.time().then((now) => time.observe(now, sentAt)),
      ]);
    },
    sought.map((one) => one.wire),
  );
  let index = 0;
  for (const record of records.values()) {
    const version = versions[index++];
    known.set(record.wire, version);
    if (version !== undefined) tags.learned(record, version, epoch, asOf);
  }
  const others = new Set<string>();
  for (const read of reads) {
    if (read.state !== 'entry') continue;
    for (const tag of read.entry.tags) if (known.get(tag) === undefined) others.add(tag);
  }
  const learned = others.size === 0 ? none : await learnOthers(remote, [...others], tags, epoch, known);
  return sought.map((one, at) => {
    const read = believed(reads[at], time, clock);
    // Held by one of them for all.
    const held = at === 0 ? learned : none;
    if (read.state !== 'entry') return { read, valid: undefined, others: held };
    return { read, valid: holds(read.entry, one.records, known) ? read.entry : undefined, others: held };
  });
}

/**
 * Asks for tags that entries turned out to carry, and holds their records, or what was learned would be lost. Also for
 * tags that the tier did not know: where they are in another slot than the entry, they were read at another moment, and
 * the load that made them known may have ended in between.
 */
async function learnOthers(
  remote: RemoteReader,
  wires: readonly string[],
  tags: TagRecords,
  epoch: number,
  known: Map<string, TierClock | undefined>,
): Promise<readonly TagRecord[]> {
  const records = tags.retain(wires);
  const asOf = tags.changes;
  try {
    const versions = await remote.read('tagVersions', (tier) => tier.tagVersions(wires), wires);
    for (const [index, record] of records.entries()) {
      const version = versions[index];
      known.set(record.wire, version);
      if (version !== undefined) tags.learned(record, version, epoch, asOf);
    }
    return records;
  } catch (error) {
    tags.release(records);
    throw error;
  }
}

const none: readonly TagRecord[] = [];

const absent: RemoteRead = { state: 'absent' };
const damaged: RemoteRead = { state: 'absent', damaged: true };

/** By how much the tier's time may be misjudged here, in milliseconds. */
const timeErrorMs = 1_000;

/**
 * A lease that nobody can hold is none, and nobody waits for it: one that is longer than any, or one that is there
 * although it is over, because its key does not expire. If it turns out to be held, the tier refuses another.
 */
function believed(read: RemoteRead | undefined, time: TimeObserver, clock: Clock): RemoteRead {
  if (read?.state !== 'leased') return read ?? absent;
  const leftMs = read.until - time.toTier(clock.now());
  return leftMs < -timeErrorMs || leftMs > longestLeaseMs + timeErrorMs ? damaged : read;
}

function holds(
  entry: RemoteEntry,
  records: readonly TagRecord[],
  known: ReadonlyMap<string, TierClock | undefined>,
): boolean {
  for (const { wire } of records) {
    // A key whose resource got a tag that this entry does not carry yet: what it said is not known to hold.
    if (!entry.tags.includes(wire)) return false;
  }
  for (const tag of entry.tags) {
    const version = known.get(tag);
    if (version === undefined || version > entry.clock) return false;
  }
  return true;
}
