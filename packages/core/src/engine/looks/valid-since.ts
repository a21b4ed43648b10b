import type { TagRecord } from '../../memory/tag-records.ts';
import type { TierClock } from '../../ports/remote-tier.ts';

/** The version of a tag that nobody knows: later than every load. */
export const never: number = Number.POSITIVE_INFINITY;

/**
 * The clock since which a load is valid whose entry carries the tags: that of the last invalidation of them; `undefined` if
 * the tier does not know one of the records among them.
 */
export function validSince(tags: readonly string[], records: readonly TagRecord[]): TierClock | undefined {
  let since = 0;
  for (let index = 0; index < records.length; index++) {
    const { wire, answer } = records[index] as TagRecord;
    if (tags[index] === wire || tags.includes(wire)) {
      if (answer === undefined) return undefined;
      since = Math.max(since, answer);
    }
    // A key whose resource got a tag that this entry does not carry yet: what it said is not known to hold.
    else since = never;
  }
  return since;
}
