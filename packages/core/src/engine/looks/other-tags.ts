import type { TagRecord, TagRecords } from '../../memory/tag-records.ts';
import type { RemoteEntry, TierClock } from '../../ports/remote-tier.ts';
import type { Looker, RemoteReader } from './looker.ts';
import { never } from './valid-since.ts';

/** An entry that carries tags of which its key, or the tier, does not know. */
export interface Unsure {
  readonly looker: Looker;
  readonly entry: RemoteEntry;
  /** What the tier said of the records of the looker. */
  readonly versions: readonly (TierClock | undefined)[];
}

/**
 * Asks for tags that entries turned out to carry, and holds their records, or what was learned would be lost. Also for
 * tags that the tier did not know: where they are in another slot than the entry, they were read at another moment, and
 * the load that made them known may have ended in between.
 */
export async function readOtherTags(
  remote: RemoteReader,
  tags: TagRecords,
  epoch: number,
  unsure: readonly Unsure[],
): Promise<void> {
  const asOf = tags.changes;
  const asked = new Map<TagRecord, TierClock | undefined>();
  const held = unsure.map(({ looker, entry, versions }) => {
    const others = tags.retain(
      entry.tags.filter((tag) => {
        const place = looker.records.findIndex(({ wire }) => wire === tag);
        return place === -1 || versions[place] === undefined;
      }),
    );
    for (const record of others) asked.set(record, undefined);
    return others;
  });
  try {
    const wires = [...asked.keys()].map(({ wire }) => wire);
    const answers = await remote.read('tagVersions', (tier) => tier.tagVersions(wires), wires);
    let index = 0;
    for (const record of asked.keys()) {
      const version = answers[index++];
      asked.set(record, version);
      if (version !== undefined) tags.learned(record, version, epoch, asOf);
    }
  } catch (error) {
    for (const [index, { looker }] of unsure.entries()) {
      tags.release(held[index] as readonly TagRecord[]);
      looker.failed(error);
    }
    return;
  }
  for (const [index, { looker, entry, versions }] of unsure.entries()) {
    const others = held[index] as readonly TagRecord[];
    const valid =
      looker.records.every(
        (record, place) =>
          entry.tags.includes(record.wire) && (asked.get(record) ?? versions[place] ?? never) <= entry.clock,
      ) && others.every((record) => (asked.get(record) ?? never) <= entry.clock);
    looker.found({ read: { state: 'entry', entry }, valid: valid ? entry : undefined, others });
  }
}
