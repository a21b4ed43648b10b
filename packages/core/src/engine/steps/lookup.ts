import type { TagRecord, TagRecords } from '../../memory/tag-records.ts';
import type { Clock } from '../../ports/clock.ts';
import type { RemoteEntry, RemoteRead, RemoteTier, TierClock } from '../../ports/remote-tier.ts';

/** Calls the remote tier and rejects in time. */
export interface RemoteReader {
  read<T>(operation: string, call: (tier: RemoteTier) => Promise<T>): Promise<T>;
}

/** Learns the tier's clock from an answer. */
export interface TimeObserver {
  readonly known: boolean;
  observe(clock: TierClock, sentAt: number): void;
}

/** What a look into the remote tier found. */
export interface Found {
  readonly read: RemoteRead;
  /** The entry, if all of its tags say that it still holds. */
  readonly valid: RemoteEntry | undefined;
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
  const [reads, versions] = await remote.read('getMany', async (tier) => {
    const sentAt = clock.now();
    return await Promise.all([
      tier.getMany([wire]),
      tier.tagVersions(wires),
      // Once per process: what "fresh until" means here is not known before.
      time.known ? undefined : tier.time().then((now) => time.observe(now, sentAt)),
    ]);
  });
  const known = new Map<string, TierClock | undefined>();
  for (const [index, record] of records.entries()) {
    const version = versions[index];
    known.set(record.wire, version);
    if (version !== undefined) tags.learned(record, version, epoch, asOf);
  }
  const read = reads[0] ?? { state: 'absent' };
  if (read.state !== 'entry') return { read, valid: undefined };
  const { entry } = read;
  const others = entry.tags.filter((tag) => !known.has(tag));
  if (others.length > 0) {
    const more = await remote.read('tagVersions', (tier) => tier.tagVersions(others));
    for (const [index, tag] of others.entries()) known.set(tag, more[index]);
  }
  for (const tag of wires) {
    // A key whose resource got a tag that this entry does not carry yet: what it said is not known to hold.
    if (!entry.tags.includes(tag)) return { read, valid: undefined };
  }
  for (const tag of entry.tags) {
    const version = known.get(tag);
    if (version === undefined || version > entry.clock) return { read, valid: undefined };
  }
  return { read, valid: entry };
}
