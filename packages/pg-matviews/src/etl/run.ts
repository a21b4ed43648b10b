import { type Clock, ConfigurationError, type SqlExecutor } from '@cachekit/core';
import { changedKeysSql, usable } from './changed-keys.ts';
import { copying } from './copying-executor.ts';
import type { CheckedEtl } from './definition.ts';
import type { EtlGap, EtlRisk, EtlRun } from './events.ts';
import { type Fit, readFit } from './fit.ts';
import { type Horizon, readOutlook, snapshotXid } from './horizon.ts';
import { loadByCopy } from './load-by-copy.ts';
import { deleteBetween, holdsAfter, type Merged, mergePage } from './merge.ts';
import { mergeKeys } from './merge-keys.ts';
import { keyPages, wholePages } from './pages.ts';
import { settle, snapshot } from './session.ts';
import { readSlotChanges, type SlotProgress } from './slot/slot-changes.ts';
import { storedSlot, takeSlot, withSlot } from './slot/slot-turn.ts';
import {
  type EtlState,
  isInstalled,
  type StoredSlot,
  storeProgress,
  storeRun,
  takeTurn,
  toldBySlot,
} from './state.ts';

/** What a run works with. */
export interface EtlContext {
  readonly etl: CheckedEtl;
  readonly remote: SqlExecutor;
  readonly local: SqlExecutor;
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** After about so many rows the transaction is committed and another one goes on. */
  readonly maxRows: number;
}

/** A transaction that was committed, or that another process has the turn. */
export type PieceOutcome =
  | { readonly state: 'busy' }
  | {
      readonly state: 'done';
      readonly run: EtlRun;
      readonly risks: readonly EtlRisk[];
      readonly gap: EtlGap['reason'] | undefined;
      readonly slot?: StoredSlot | undefined;
    };

/**
 * Copies what changed, in one local and one remote transaction; the horizons are stored in the commit of the rows.
 *
 * The order is the proof. The turn is taken first, so the snapshot is later than everything the previous turn wrote.
 * The watermark is read before the snapshot, so a change that the snapshot does not show is dated after it, and the
 * next run finds it. A run of several transactions keeps the horizon of its first: what commits between the pieces is
 * read by the next run. Killed anywhere, the rows and the horizon are those of the last commit.
 */
export async function runPiece(context: EtlContext): Promise<PieceOutcome> {
  const { remote, etl, timeoutMs } = context;
  const outcome = await withSlot<PieceOutcome & { slot?: StoredSlot | undefined }>(
    remote,
    etl,
    timeoutMs,
    () => piece(context),
  );
  return outcome ?? { state: 'busy' };
}

async function piece(context: EtlContext): Promise<PieceOutcome> {
  const { etl, remote, local, clock, timeoutMs, maxRows } = context;
  const beganAt = clock.now();
  return local.transaction(async (here): Promise<PieceOutcome> => {
    await settle(here, timeoutMs);
    const state = await turnOf(here, etl.name);
    if (state === undefined) return { state: 'busy' };
    const startedAt = await localTime(here);
    const outlook = await readOutlook(remote, etl);
    const slot = await takeSlot(remote, etl, state.slot);
    const identity = outlook.identity + (slot?.identity ?? '');
    return remote.transaction(async (there): Promise<PieceOutcome> => {
      await snapshot(there, timeoutMs);
      const xid = await snapshotXid(there);
      const fit = await readFit(there, here, etl, sameCopy(etl, state) ? state.columns : []);
      const copied = nothing();
      let anew =
        !resumable(etl, state, fit, identity, xid) || (slot !== undefined && slot.position === undefined);
      let told: SlotProgress | undefined;
      if (slot?.position !== undefined && !anew && state.kind === 'changes') {
        told = await readSlotChanges(there, etl, slot, slot.position, fit, maxRows, async (keys) => {
          add(copied, await mergeKeys(there, here, etl, fit, keys));
        });
        anew = told.everything !== undefined;
      }
      const kind = anew ? 'load' : state.kind;
      const from = anew ? undefined : (state.after ?? undefined);
      const watermark = outlook.watermark ?? (anew ? '-infinity' : previousWatermark(state));
      const present: Horizon = { watermark, xid };
      const horizon = anew ? present : (state.pending ?? present);
      let after = from;
      if (kind === 'load') after = await load(context, there, here, fit, from, copied);
      else if (told?.exhausted !== false)
        after = await changes(context, there, here, fit, state, from, copied);
      const complete = after === undefined && (anew || told?.exhausted !== false);
      const risks = [...fit.risks, ...outlook.risks, ...(slot?.risks ?? [])];
      const stored =
        slot && storedSlot(slot, told?.position ?? (anew ? undefined : slot.position) ?? slot.confirmed);
      const run: EtlRun = {
        etl: etl.name,
        kind,
        read: copied.read,
        inserted: copied.inserted,
        updated: copied.updated,
        deleted: copied.deleted,
        durationMs: clock.now() - beganAt,
        complete,
      };
      await storeProgress(here, etl, {
        digest: etl.digest,
        identity,
        columns: fit.columns.map(({ name }) => name),
        kind,
        horizon,
        startedAt: !anew && state.pending !== null ? (state.startedAt ?? startedAt) : startedAt,
        after,
        complete,
        slot: stored,
        risks,
      });
      if (anew || run.read > 0 || run.deleted > 0) await storeRun(here, run);
      const lost = slot !== undefined && slot.position === undefined && state.slot !== null;
      return {
        state: 'done',
        run,
        risks,
        gap: told?.everything ?? (lost ? 'slot' : undefined),
        slot: stored,
      };
    });
  });
}

/** @throws ConfigurationError `INVALID_CONFIGURATION` if there is no such copy. */
export async function turnOf(local: SqlExecutor, name: string): Promise<EtlState | undefined> {
  if (!(await isInstalled(local, name))) {
    throw new ConfigurationError(`The copy "${name}" was never installed in this database; call install()`);
  }
  return takeTurn(local, name);
}

/** Whether what was copied so far and where it ended says what is left to copy. */
function resumable(etl: CheckedEtl, state: EtlState, fit: Fit, identity: string, xid: string): boolean {
  if (!sameCopy(etl, state) || state.identity !== identity) return false;
  const names = fit.columns.map(({ name }) => name);
  if (names.length !== state.columns.length || names.some((name) => !state.columns.includes(name)))
    return false;
  if (state.kind === 'load') return state.pending !== null && usable(state.pending, xid);
  return etl.sources.every(({ name, slot }) => {
    const horizon = state.sources[name];
    return horizon !== undefined && usable(horizon, xid) && (horizon.watermark === toldBySlot) === slot;
  });
}

const sameCopy = (etl: CheckedEtl, state: EtlState): boolean => state.digest === etl.digest;

function previousWatermark(state: EtlState): string {
  const first = Object.values(state.sources).find(({ watermark }) => watermark !== toldBySlot);
  return state.pending?.watermark ?? first?.watermark ?? '-infinity';
}

async function localTime(local: SqlExecutor): Promise<string> {
  const { rows } = await local.query<{ now: string }>('SELECT clock_timestamp()::text AS now');
  return String(rows[0]?.now);
}

/** What was copied. */
interface Copied extends Merged {
  read: number;
}

const nothing = (): Copied => ({ read: 0, inserted: 0, updated: 0, deleted: 0 });

/** @returns The last key, if rows are left. */
async function load(
  { etl, maxRows }: EtlContext,
  remote: SqlExecutor,
  local: SqlExecutor,
  fit: Fit,
  from: string | undefined,
  copied: Copied,
): Promise<string | undefined> {
  const [out, into] = [copying(remote), copying(local)];
  const pages =
    out !== undefined && into !== undefined
      ? loadByCopy(out, into, etl, fit, from, maxRows)
      : loadByText(remote, local, etl, fit, from, maxRows);
  const holds = await holdsAfter(local, etl, fit.key, from);
  let after = from;
  let read = 0;
  for await (const { keys, merged } of pages) {
    const last = keys.at(-1);
    add(copied, { ...merged, read: keys.length });
    read += keys.length;
    if (holds) copied.deleted += await deleteBetween(local, etl, fit.key, after, last, keys);
    after = last;
  }
  if (read >= maxRows) return after;
  if (holds) copied.deleted += await deleteBetween(local, etl, fit.key, after, undefined, []);
  return undefined;
}

async function* loadByText(
  remote: SqlExecutor,
  local: SqlExecutor,
  etl: CheckedEtl,
  fit: Fit,
  from: string | undefined,
  limit: number,
): AsyncGenerator<{ keys: readonly string[]; merged: Merged }> {
  for await (const page of wholePages(remote, etl, fit, from, limit)) {
    yield { keys: page.keys, merged: await mergePage(local, etl, fit, page) };
  }
}

/** @returns The last key, if changes are left. */
async function changes(
  { etl, maxRows }: EtlContext,
  remote: SqlExecutor,
  local: SqlExecutor,
  fit: Fit,
  state: EtlState,
  from: string | undefined,
  copied: Copied,
): Promise<string | undefined> {
  const sources = etl.sources.filter(({ slot }) => !slot);
  if (sources.length === 0) return undefined;
  const horizons = new Map(Object.entries(state.sources));
  const query = await changedKeysSql(remote, { ...etl, sources }, fit.key, horizons, from);
  let read = 0;
  for await (const keys of keyPages(remote, query)) {
    const merged = await mergeKeys(remote, local, etl, fit, keys);
    add(copied, merged);
    read += merged.read;
    if (read >= maxRows) return keys.at(-1);
  }
  return undefined;
}

function add(sum: Copied, part: Copied): void {
  sum.read += part.read;
  sum.inserted += part.inserted;
  sum.updated += part.updated;
  sum.deleted += part.deleted;
}
