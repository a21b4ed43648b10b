import type { SqlExecutor } from '@cachekit/core';
import type { CheckedEtl } from '../definition.ts';
import type { StoredSlot } from '../state.ts';
import { lsnOf, lsnText } from './lsn.ts';
import { publishedTables, type SlotTable } from './publication.ts';
import { advanceSlot, dropSlot, ensureSlot, isInUse, readSlot, type Slot, SlotGap } from './slot.ts';

/** A slot as a run finds it. */
export interface SlotTurn extends Slot {
  readonly name: string;
  readonly tables: readonly SlotTable[];
  /** What the slot told before is in the copy; absent if it does not tell everything after any more. */
  readonly position: bigint | undefined;
  /** Others are told when a source is another table of the same name. */
  readonly identity: string;
}

/**
 * Finds the slot, with nothing in it that was committed here before: that is said to the server again if the process
 * that committed it could not say it.
 *
 * A slot that begins later than what was read ends somewhere else: it was made anew, or somebody else reads it.
 *
 * @throws SlotUnavailable, SlotGap
 */
export async function takeSlot(
  remote: SqlExecutor,
  etl: CheckedEtl,
  stored: StoredSlot | null,
): Promise<SlotTurn | undefined> {
  const name = etl.slot;
  if (name === undefined) return undefined;
  const tables = await publishedTables(remote, etl);
  const slot = await readSlot(remote, name);
  const known = stored?.name === name ? lsnOf(stored.position) : undefined;
  const position =
    known !== undefined && slot.confirmed <= known && known <= slot.written ? known : undefined;
  // A table that was taken out of the publication and added again was not told meanwhile.
  if (
    position !== undefined &&
    tables.some(({ source, published }) => stored?.published[source] !== published)
  ) {
    throw new SlotGap();
  }
  if (position !== undefined && slot.confirmed < position) {
    await advanceSlot(remote, name, lsnText(position));
  }
  return {
    ...slot,
    name,
    tables,
    position,
    identity: `/${tables.map(({ source, relations }) => `${source}=${relations[0]}`).join()}`,
  };
}

/** What is to be remembered of the slot in the commit of the rows. */
export function storedSlot(slot: SlotTurn, position: bigint): StoredSlot {
  const { name, retainedBytes, walStatus, tables } = slot;
  const published = Object.fromEntries(tables.map((table) => [table.source, table.published]));
  return { name, position: lsnText(position), published, retainedBytes, walStatus };
}

/**
 * Runs a piece with its slot there, and lets the server forget what the piece committed.
 *
 * A slot that cannot tell any more is dropped; the next piece makes another one, sees that it begins later, and loads.
 *
 * @param run - Gives the position that it committed, if any.
 * @returns What `run` gave, `undefined` if it has to be tried again.
 */
export async function withSlot<Outcome extends { readonly slot?: StoredSlot | undefined }>(
  remote: SqlExecutor,
  etl: CheckedEtl,
  timeoutMs: number,
  run: () => Promise<Outcome>,
): Promise<Outcome | undefined> {
  const { slot: name } = etl;
  if (name === undefined) return run();
  await publishedTables(remote, etl);
  await ensureSlot(remote, name, timeoutMs);
  let outcome: Outcome;
  try {
    outcome = await run();
  } catch (error) {
    if (error instanceof SlotGap) await dropSlot(remote, name).catch(unlessInUse);
    else unlessInUse(error);
    return undefined;
  }
  // Whatever goes wrong here is done, or told, by the next piece.
  if (outcome.slot !== undefined) {
    await advanceSlot(remote, name, outcome.slot.position).catch(() => undefined);
  }
  return outcome;
}

function unlessInUse(error: unknown): void {
  if (!isInUse(error)) throw error;
}
