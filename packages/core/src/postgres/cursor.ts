import { ConfigurationError } from '../errors.ts';
import type { GapReason } from '../ports/change-source.ts';
import type { SqlExecutor } from '../ports/sql.ts';

/**
 * Where a consumer stands in an outbox.
 *
 * Not the number of the last row: numbers are taken before the commit, so a row may appear below one that was already
 * delivered. Not the oldest running transaction either: one that runs long anywhere would stop everything. It is the
 * snapshot at the last acknowledgement: undelivered is exactly what was not visible in it and is visible now. A
 * difference larger than one batch is delivered in pieces, between `snapshot` and a fixed `target`, after row `after`.
 */
export interface CursorPosition {
  readonly snapshot: string;
  readonly target: string | undefined;
  readonly after: string | undefined;
}

/** A cursor that the transaction holds: nobody else delivers from it until the transaction ends. */
export interface HeldCursor extends CursorPosition {
  /** Why the position means nothing any more. */
  readonly gap: GapReason | undefined;
}

/** A row of an outbox; all as text, so that no type parser of the driver bends a value. */
export interface OutboxRow {
  readonly seq: string;
  readonly atMs: string;
  readonly ageMs: string;
  readonly tenant: string | null;
  readonly source: string;
  readonly operation: string;
  readonly key: string;
  readonly old: string | null;
  readonly new: string | null;
  readonly moved: boolean | null;
}

/** What there is to do, seen without a lock. */
export interface CursorGlance {
  /** The row of the cursor exists. */
  readonly known: boolean;
  readonly pending: boolean;
  readonly armed: boolean;
  /** Every transaction with a smaller id has ended. */
  readonly horizon: string;
  /** Age of one of the oldest undelivered changes. */
  readonly ageMs: number;
}

/**
 * Makes the cursor at the present if there is none.
 *
 * What the outbox already holds is not replayed. If it holds anything, the consumer may have missed it, so the first
 * thing it hears is the gap `started`.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if the name belongs to a consumer of another outbox.
 */
export async function openCursor(
  sql: SqlExecutor,
  name: string,
  outbox: string,
  table: string,
): Promise<void> {
  await sql.query(
    `insert into cachekit.cursor (name, outbox, snapshot, identity, gap)
     select $1, $2, pg_current_snapshot(), cachekit.database_identity(),
            case when exists (select from ${table}) then 'started' end
     on conflict (name) do nothing`,
    [name, outbox],
  );
  const { rows } = await sql.query<{ outbox: string }>('select outbox from cachekit.cursor where name = $1', [
    name,
  ]);
  const other = rows[0]?.outbox;
  if (other !== undefined && other !== outbox) {
    throw new ConfigurationError(
      `The consumer "${name}" reads the outbox "${other}"; give this one another name`,
    );
  }
}

/**
 * Takes the cursor if nobody holds it.
 *
 * Must be a statement of its own before the one that reads: in READ COMMITTED the snapshot of the next statement is
 * then later than the lock. The server ends the transaction, and with it the hold, when the process stays silent for
 * `takeoverMs`; without that a machine that vanished would hold it until TCP gives up, hours later. What follows in
 * the transaction reads by index: the planner knows nothing of a table of which a little is read as it grows.
 */
export async function holdCursor(
  transaction: SqlExecutor,
  name: string,
  takeoverMs: number,
): Promise<HeldCursor | undefined> {
  const { rows } = await transaction.query<{
    snapshot: string;
    target: string | null;
    after: string | null;
    gap: string | null;
    foreign: boolean;
  }>(
    `select c.snapshot::text as snapshot, c.target::text as target, c.after::text as after, c.gap,
            c.identity <> cachekit.database_identity()
              or pg_snapshot_xmax(c.snapshot) > pg_snapshot_xmax(pg_current_snapshot()) as foreign,
            set_config('idle_in_transaction_session_timeout', $2, true), set_config('enable_seqscan', 'off', true)
     from cachekit.cursor c where c.name = $1 for update skip locked`,
    [name, String(Math.ceil(takeoverMs))],
  );
  const row = rows[0];
  if (row === undefined) return undefined;
  return {
    snapshot: row.snapshot,
    target: row.target ?? undefined,
    after: row.after ?? undefined,
    gap: row.foreign ? 'restored' : asGapReason(row.gap),
  };
}

/** The present, as a position with nothing before it. */
export async function presentPosition(transaction: SqlExecutor): Promise<CursorPosition> {
  const { rows } = await transaction.query<{ snapshot: string }>(
    'select pg_current_snapshot()::text as snapshot',
  );
  return { snapshot: String(rows[0]?.snapshot), target: undefined, after: undefined };
}

/**
 * The next undelivered rows in the order of `seq`, at most `limit`, and where the cursor stands after them.
 *
 * Of one row of a table, the order of `seq` is the order of the commits: the next writer waits for the row lock.
 */
export async function readOutbox(
  transaction: SqlExecutor,
  table: string,
  from: CursorPosition,
  limit: number,
): Promise<{ rows: readonly OutboxRow[]; position: CursorPosition }> {
  if (from.target === undefined) {
    const { rows } = await transaction.query<OutboxRow & { target: string }>(wholeSql(table), [
      from.snapshot,
      limit + 1,
    ]);
    const target = rows[0]?.target;
    if (target === undefined) return { rows, position: from };
    if (rows.length <= limit)
      return { rows, position: { snapshot: target, target: undefined, after: undefined } };
    const first = await transaction.query<{ after: string }>(beforeFirstSql(table), [from.snapshot]);
    const after = first.rows[0]?.after ?? '0';
    return readOutbox(transaction, table, { snapshot: from.snapshot, target, after }, limit);
  }
  const { rows } = await transaction.query<OutboxRow>(pieceSql(table), [
    from.snapshot,
    from.target,
    from.after ?? '0',
    limit,
  ]);
  const last = rows[limit - 1];
  const position: CursorPosition =
    last === undefined
      ? { snapshot: from.target, target: undefined, after: undefined }
      : { snapshot: from.snapshot, target: from.target, after: last.seq };
  return { rows, position };
}

/** Acknowledges: everything up to `position` was delivered. */
export async function moveCursor(
  transaction: SqlExecutor,
  name: string,
  position: CursorPosition,
  delivered: number,
): Promise<void> {
  await transaction.query(
    `update cachekit.cursor
     set snapshot = $2::pg_snapshot, target = $3::pg_snapshot, after = $4::bigint, gap = null,
         identity = cachekit.database_identity(), delivered = delivered + $5::bigint, moved_at = clock_timestamp()
     where name = $1`,
    [name, position.snapshot, position.target ?? null, position.after ?? null, delivered],
  );
}

/** Whether there is anything to deliver, in one statement that locks and writes nothing. */
export async function glanceAtCursor(sql: SqlExecutor, name: string, table: string): Promise<CursorGlance> {
  const { rows } = await sql.query<{
    known: boolean;
    pending: boolean;
    armed: boolean;
    horizon: string;
    age: string | null;
  }>(glanceSql(table), [name]);
  const row = rows[0];
  return {
    known: row?.known === true,
    pending: row?.pending === true,
    armed: row?.armed === true,
    horizon: row?.horizon ?? '0',
    ageMs: Math.max(0, Number(row?.age ?? 0)),
  };
}

const columns = `o.seq::text as seq, (extract(epoch from o.at) * 1000)::text as "atMs",
  (extract(epoch from clock_timestamp() - o.at) * 1000)::text as "ageMs", o.tenant, o.source, o.operation,
  o.key::text as key, o.old::text as old, o.new::text as new, o.moved`;

/**
 * Not visible in a snapshot is: its xmax or later, or running then. Two ranges of the index, so the cost is that of
 * the rows found, however long ago the oldest running transaction began. The statement's own snapshot is the target.
 */
function wholeSql(table: string): string {
  return `
    select pg_current_snapshot()::text as target, ${columns} from (
      (select * from ${table} where xid >= pg_snapshot_xmax($1::pg_snapshot) order by xid limit $2)
      union all
      (select r.* from pg_snapshot_xip($1::pg_snapshot) running
       cross join lateral (select * from ${table} where xid = running limit $2) r limit $2)
    ) o order by o.seq`;
}

/** Where the walk of the pieces begins. `+ 0` keeps the planner from looking for it from the start of the table. */
function beforeFirstSql(table: string): string {
  return `
    select (least(
      (select min(seq + 0) from ${table} where xid >= pg_snapshot_xmax($1::pg_snapshot)),
      (select min(seq + 0) from ${table} where xid = any (array(select pg_snapshot_xip($1::pg_snapshot))))
    ) - 1)::text as after`;
}

/** By functions the planner cannot use an index for, so that it walks the primary key from `after`. */
function pieceSql(table: string): string {
  return `
    select ${columns} from ${table} o
    where o.seq > $3::bigint and not pg_visible_in_snapshot(o.xid, $1::pg_snapshot)
      and pg_visible_in_snapshot(o.xid, $2::pg_snapshot)
    order by o.seq limit $4`;
}

function glanceSql(table: string): string {
  return `
    select c.name is not null as known, coalesce(w.armed, false) as armed,
           pg_snapshot_xmin(pg_current_snapshot())::text as horizon,
           c.gap is not null or c.target is not null or p.at is not null
             or c.identity <> cachekit.database_identity()
             or pg_snapshot_xmax(c.snapshot) > pg_snapshot_xmax(pg_current_snapshot()) as pending,
           (extract(epoch from clock_timestamp() - p.at) * 1000)::text as age
    from (values (1)) one
    left join cachekit.cursor c on c.name = $1
    left join cachekit.wake w on w.name = $1
    left join lateral (
      (select o.at from ${table} o where o.xid >= pg_snapshot_xmax(c.snapshot) order by o.xid limit 1)
      union all
      (select r.at from pg_snapshot_xip(c.snapshot) running
       cross join lateral (select o.at from ${table} o where o.xid = running limit 1) r limit 1)
      limit 1
    ) p on true`;
}

function asGapReason(text: string | null): GapReason | undefined {
  if (text === null) return undefined;
  return text === 'started' || text === 'trimmed' || text === 'restored' ? text : 'source';
}
