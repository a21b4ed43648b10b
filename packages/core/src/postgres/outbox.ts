import { type Duration, durationMs } from '../duration.ts';
import { ArgumentError } from '../errors.ts';
import type { SqlExecutor } from '../ports/sql.ts';
import { installCoreSchema, lockMigrations } from './core-schema.ts';

/**
 * The outbox as it stands in SQL: `cachekit."<name>"`.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` if it is not 1 to 40 of `a-z`, `0-9` and `_` that begin with a letter, or
 * one of CacheKit's own tables.
 */
export function outboxTable(name: string): string {
  if (!/^[a-z][a-z0-9_]{0,39}$/.test(name) || name === 'cursor' || name === 'wake') {
    throw new ArgumentError(
      `${JSON.stringify(name)} is no name of an outbox; give 1 to 40 of a-z, 0-9 and "_", beginning with a letter`,
    );
  }
  return `cachekit."${name}"`;
}

/**
 * Creates the outbox table `cachekit.<name>`, and before it what {@link installCoreSchema} creates.
 *
 * An outbox is written in the transaction of the change it tells of, and read by `outboxSource`. A writer gives
 * `source` (the table or view), `operation` (`insert`, `update`, `delete`, `refresh`, or `truncate` for "anything may
 * have happened to it", which the consumer reports as a gap), `key`, and what it has of `tenant`, `old`, `new` and
 * `moved`; the other columns have defaults. Rows are only ever inserted, and deleted by {@link pruneOutbox}.
 *
 * Idempotent, and safe in several processes at once.
 *
 * @throws ArgumentError `INVALID_ARGUMENT` if `name` is none.
 * @throws The driver's error, unchanged.
 * @example
 * await installOutbox(sql, 'change');
 */
export async function installOutbox(sql: SqlExecutor, name: string): Promise<void> {
  const table = outboxTable(name);
  await installCoreSchema(sql);
  const { rows } = await sql.query<{ installed: boolean }>(
    'select to_regclass($1) is not null and to_regclass($2) is not null as installed',
    [table, `cachekit."${name}_xid"`],
  );
  if (rows[0]?.installed === true) return;
  await sql.transaction(async (transaction) => {
    await lockMigrations(transaction);
    await transaction.query(`create table if not exists ${table} (
      seq bigint generated always as identity primary key,
      xid xid8 not null default pg_current_xact_id(),
      at timestamptz not null default clock_timestamp(),
      tenant text,
      source text not null,
      operation text not null,
      key jsonb not null,
      old jsonb,
      new jsonb,
      moved boolean
    ) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
            autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 50000)`);
    await transaction.query(`create index if not exists "${name}_xid" on ${table} (xid)`);
  });
}

/** How long rows of an outbox are kept. */
export interface OutboxRetention {
  /**
   * How long a row is kept after it was written, once every consumer has it.
   * @defaultValue `'10m'`
   */
  readonly consumed?: Duration;
  /**
   * How long a row is kept for a consumer that does not come; it then finds a gap (`trimmed`) instead.
   * @defaultValue `'7d'`
   */
  readonly abandoned?: Duration;
}

/** Rows looked at per call, oldest first: bounds the time and the locks of one call. */
export const pruneBatch = 2_000;

/**
 * Deletes rows that nobody needs any more; a running `outboxSource` does so by itself every minute.
 *
 * Looks at the oldest 2000 rows per call and never waits for a consumer at work.
 *
 * @returns How many rows were deleted. 2000: call again.
 * @throws ArgumentError `INVALID_ARGUMENT` if `name` is none.
 */
export async function pruneOutbox(
  sql: SqlExecutor,
  name: string,
  retention: OutboxRetention = {},
): Promise<number> {
  const table = outboxTable(name);
  const consumedMs = durationMs(retention.consumed ?? '10m', 'retention.consumed');
  const abandonedMs = durationMs(retention.abandoned ?? '7d', 'retention.abandoned');
  return sql.transaction(async (transaction) => {
    await transaction.query(
      `update cachekit.cursor set gap = 'trimmed' where name in (
         select c.name from cachekit.cursor c
         where c.outbox = $1 and c.gap is null and exists (
           select from (select xid, at from ${table} order by seq limit ${pruneBatch}) o
           where o.at < clock_timestamp() - $2 * interval '1 ms' and not pg_visible_in_snapshot(o.xid, c.snapshot))
         for update skip locked)`,
      [name, abandonedMs],
    );
    const { rowCount } = await transaction.query(
      `delete from ${table} where seq in (
         select o.seq from (select seq, xid, at from ${table} order by seq limit ${pruneBatch} for update skip locked) o
         where o.at < clock_timestamp() - $2 * interval '1 ms' and not exists (
           select from cachekit.cursor c
           where c.outbox = $1 and c.gap is null and not pg_visible_in_snapshot(o.xid, c.snapshot)))`,
      [name, consumedMs],
    );
    return rowCount;
  });
}
