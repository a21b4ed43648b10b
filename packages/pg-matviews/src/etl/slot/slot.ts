import { ConfigurationError, type SqlExecutor } from '@cachekit/core';
import { jsonRows } from '../../sql/json-rows.ts';
import { sqlState } from '../../sql/sql-state.ts';
import type { EtlRisk } from '../events.ts';
import { settle } from '../session.ts';
import { lsnOf } from './lsn.ts';

/** The slot or its publication cannot be used as things are; the message says what mends it. */
export class SlotUnavailable extends ConfigurationError {
  override name = 'ConfigurationError';
}

/** The slot does not tell what this copy lacks any more. */
export class SlotGap extends Error {}

/** A slot as the remote database describes it. */
export interface Slot {
  /** What was committed before is not told any more. */
  readonly confirmed: bigint;
  /** Up to here everything is written. */
  readonly written: bigint;
  /** Bytes of WAL that the server keeps for it. */
  readonly retainedBytes: number;
  readonly walStatus: string;
  readonly risks: readonly EtlRisk[];
}

interface SlotRow {
  readonly walLevel: string;
  readonly unlimited: boolean;
  readonly written: string;
  readonly usable: boolean | null;
  readonly walStatus: string | null;
  readonly confirmed: string | null;
  readonly retained: number | null;
}

async function describe(remote: SqlExecutor, name: string): Promise<SlotRow> {
  const [row] = await jsonRows<SlotRow>(
    remote,
    `SELECT current_setting('wal_level') AS "walLevel", pg_current_wal_flush_lsn()::text AS written,
       current_setting('max_slot_wal_keep_size') = '-1' AS unlimited,
       s.plugin = 'pgoutput' AND s.database = current_database() AS usable, s.wal_status AS "walStatus",
       s.confirmed_flush_lsn::text AS confirmed, pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::float8 AS retained
     FROM (SELECT) one LEFT JOIN pg_replication_slots s ON s.slot_name = $1`,
    [name],
  );
  if (row === undefined) throw new Error('The remote database gave no answer');
  if (row.walLevel !== 'logical') {
    throw new SlotUnavailable(
      `The remote server has wal_level = ${row.walLevel}; a slot needs wal_level = logical and a restart`,
    );
  }
  if (row.walStatus !== null && row.usable !== true) {
    throw new SlotUnavailable(
      `The slot "${name}" belongs to another database or plugin of the remote server; give another slot`,
    );
  }
  return row;
}

/**
 * Creates the slot if it is not there, anew if the server gave it up.
 *
 * The server waits for every transaction that is running and has written; a caller must have none open.
 *
 * @throws SlotUnavailable
 */
export async function ensureSlot(remote: SqlExecutor, name: string, timeoutMs: number): Promise<void> {
  const { walStatus } = await describe(remote, name);
  if (walStatus !== null && walStatus !== 'lost') return;
  try {
    await explained(name, () =>
      remote.transaction(async (transaction) => {
        await settle(transaction, timeoutMs);
        await transaction.query(
          `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND wal_status = 'lost'`,
          [name],
        );
        await transaction.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [name]);
      }),
    );
  } catch (error) {
    // Another process was faster.
    if (sqlState(error) !== '42710') throw error;
  }
}

/** @throws SlotUnavailable, SlotGap if it is gone or lost. */
export async function readSlot(remote: SqlExecutor, name: string): Promise<Slot> {
  const { walStatus, confirmed, written, retained, unlimited } = await describe(remote, name);
  if (walStatus === null || walStatus === 'lost' || confirmed === null) throw new SlotGap();
  const retainedBytes = retained ?? 0;
  const risks: EtlRisk[] = [];
  if (walStatus === 'unreserved') {
    risks.push({
      reason: 'SLOT_NEAR_ITS_LIMIT',
      detail: `the slot "${name}" is behind by ${retainedBytes} bytes of WAL, more than max_slot_wal_keep_size; the copy is made anew if the server removes them`,
    });
  }
  if (unlimited) {
    risks.push({
      reason: 'SLOT_WITHOUT_LIMIT',
      detail: `nothing limits the WAL that the slot "${name}" makes the server keep; set max_slot_wal_keep_size`,
    });
  }
  return { confirmed: lsnOf(confirmed), written: lsnOf(written), retainedBytes, walStatus, risks };
}

/** Says that everything before a position is in the copy, so that the server may forget it. */
export async function advanceSlot(remote: SqlExecutor, name: string, position: string): Promise<void> {
  await explained(name, () => remote.query('SELECT pg_replication_slot_advance($1, $2)', [name, position]));
}

/** Drops the slot, if it is there. */
export async function dropSlot(remote: SqlExecutor, name: string): Promise<void> {
  await explained(name, () =>
    remote.query(
      `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
       WHERE slot_name = $1 AND plugin = 'pgoutput' AND database = current_database()`,
      [name],
    ),
  );
}

/** Whether somebody else reads the slot at this moment. */
export const isInUse = (error: unknown): boolean => sqlState(error) === '55006';

/** Runs what works on a slot; errors that tell its end or a missing right become such. */
export async function explained<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const state = sqlState(error);
    if (state === '42501') {
      throw new SlotUnavailable(
        `The role may not use the slot "${name}"; ALTER ROLE ... REPLICATION, or the role that the host has for it`,
      );
    }
    throw error;
  }
}
