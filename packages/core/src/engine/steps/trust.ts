import { distrust, type MemoryEntry } from '../../memory/tier.ts';

/**
 * Whether memory may answer with the entry at all, whatever its age: it was read in the present epoch of trust, and no
 * tag of it was invalidated since its load began.
 */
export function trusted(entry: MemoryEntry, epoch: number, now: number): boolean {
  if (entry.epoch !== epoch) return now < entry.degradedUntil && untouched(entry);
  const { tags } = entry;
  for (let index = 0; index < tags.length; index++) {
    const record = tags[index] as (typeof tags)[number];
    if (record.epoch !== epoch || record.version > entry.clock) return false;
  }
  return true;
}

/** As {@link trusted}, for a hit: as long as no tag record has changed since, they are not asked again. */
export function surely(entry: MemoryEntry, epoch: number, now: number, stamp: number): boolean {
  if (entry.sureAt === stamp && entry.epoch === epoch) return true;
  if (!trusted(entry, epoch, now)) return false;
  if (entry.epoch === epoch) entry.sureAt = stamp;
  return true;
}

/** The epoch of an entry that is read while memory hears nothing: one that never is the present one. */
export function epochOf(present: number): number {
  return present === distrust ? 0 : present;
}

/** Of an entry that the remote tier does not have, only what was heard here can speak. */
function untouched(entry: MemoryEntry): boolean {
  return entry.epoch !== -1 && entry.tags.every((record) => record.changedAt <= entry.asOf);
}
