import { createHash } from 'node:crypto';
import {
  assertKnownOptions,
  type Clock,
  ConfigurationError,
  type Duration,
  durationMs,
  type SqlExecutor,
  systemClock,
} from '@cachekit/core';
import { installOutbox, lockMigrations, quoteLiteral, quoteQualified } from '@cachekit/core/postgres';
import { type CapturedTable, readTableShape, type TableShape } from './table-shape.ts';
import {
  captureBody,
  captureFunctionSql,
  captureTriggersSql,
  changeOutbox,
  gapSql,
  qualifiedFunction,
  triggerNames,
} from './trigger-sql.ts';

/** Options of {@link installCapture}. */
export interface InstallCaptureOptions {
  /**
   * What to capture, by table: `calls`, looked up as the connection looks names up, or `app.calls`. Changes carry the
   * name as it is written here.
   */
  readonly tables: Readonly<Record<string, CapturedTable>>;
  /**
   * How long one attempt waits for the lock of a table. Meanwhile new writers of the table queue behind it.
   * @defaultValue `'1s'`
   */
  readonly lockTimeout?: Duration;
  readonly clock?: Clock;
}

/** Attempts for the lock of one table; the pauses between them grow from 0.2 s to 3.2 s. */
const attempts = 6;
const firstPauseMs = 200;

/**
 * Puts triggers on tables that write every committed row change into the outbox `cachekit.change`.
 *
 * Idempotent: where everything is as wanted it only reads and takes no lock. Otherwise one transaction per table takes
 * SHARE ROW EXCLUSIVE for a moment; if a writer keeps it from that for `lockTimeout` it steps back and tries again, so
 * that writers behind it go on. Partitions get triggers too, because a write straight to a partition does not fire
 * those of its parent; run it again after a partition was added or detached, or another table took the name. What is no
 * part of the table any more loses the triggers then, and one that was disabled is enabled; where rows may have been
 * written untold meanwhile, consumers get a gap.
 *
 * Writers need no new rights, whatever their role and `search_path`. What no trigger sees is not captured: writes
 * under `session_replication_role = replica`, rows that a logical subscription applies, triggers that were disabled.
 * Where rows cannot be told, because the key, the tenant or one of the chosen columns was renamed or dropped, or because
 * `jsonb` cannot hold what is in a column of type json, the statement goes on and is a gap. `old` and `new` of one row
 * are limited by `jsonb`, at 255 MB.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if a table or column does not exist, a key does not identify
 * rows, or an option is unknown.
 * @throws The driver's error, unchanged, such as 55P03 when a table stayed locked through all attempts.
 * @example
 * await installCapture(sql, { tables: { calls: { key: ['id'], tenant: 'user_id' } } });
 */
export async function installCapture(sql: SqlExecutor, options: InstallCaptureOptions): Promise<void> {
  assertKnownOptions('installCapture', options, ['tables', 'lockTimeout', 'clock']);
  const lockTimeoutMs = durationMs(options.lockTimeout ?? '1s', 'lockTimeout');
  const tables = Object.entries(options.tables ?? {});
  if (tables.length === 0) throw new ConfigurationError('installCapture takes at least one table');
  for (const [name, table] of tables) {
    assertKnownOptions(`installCapture: ${name}`, table, ['key', 'tenant', 'columns']);
  }
  // All are checked before the first is touched.
  const shapes: TableShape[] = [];
  for (const [name, table] of tables) shapes.push(await readTableShape(sql, name, table));
  refuseTwice(shapes);
  await installOutbox(sql, changeOutbox);
  for (const shape of shapes) {
    if (await isInstalled(sql, shape)) continue;
    await withTableLock(sql, lockTimeoutMs, options.clock ?? systemClock, (transaction) =>
      install(transaction, shape),
    );
  }
}

/**
 * Takes the triggers of {@link installCapture} away, and leaves the outbox and what is in it.
 *
 * No-op for a table that is not captured. Locks as `installCapture` does, but ACCESS EXCLUSIVE.
 *
 * @param options - `tables`: the names as they were given to `installCapture`.
 * @throws The driver's error, unchanged, such as 55P03 when a table stayed locked through all attempts.
 * @example
 * await uninstallCapture(sql, { tables: ['calls'] });
 */
export async function uninstallCapture(
  sql: SqlExecutor,
  options: { readonly tables: readonly string[]; readonly lockTimeout?: Duration; readonly clock?: Clock },
): Promise<void> {
  assertKnownOptions('uninstallCapture', options, ['tables', 'lockTimeout', 'clock']);
  const lockTimeoutMs = durationMs(options.lockTimeout ?? '1s', 'lockTimeout');
  for (const name of options.tables) {
    const { rows } = await sql.query<{ name: string }>(
      `select p.proname as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where n.nspname = 'cachekit' and obj_description(p.oid, 'pg_proc') = $1`,
      [comment(name)],
    );
    for (const row of rows) {
      await withTableLock(sql, lockTimeoutMs, options.clock ?? systemClock, async (transaction) => {
        await transaction.query(`drop function if exists ${qualifiedFunction(row.name)}() cascade`);
      });
    }
  }
}

/** A table under two names, or a partition beside its parent: every change of it would have to be told twice. */
function refuseTwice(shapes: readonly TableShape[]): void {
  const names = new Map<string, string>();
  for (const shape of shapes) {
    for (const { oid } of shape.relations) {
      const other = names.get(oid);
      if (other !== undefined) {
        throw new ConfigurationError(
          `installCapture: "${other}" and "${shape.capture.name}" are the same table, or one is a partition of the other`,
        );
      }
      names.set(oid, shape.capture.name);
    }
  }
}

async function isInstalled(sql: SqlExecutor, shape: TableShape): Promise<boolean> {
  const { rows } = await sql.query<{ body: string; triggers: string; elsewhere: string }>(
    `select p.prosrc as body, t.*
     from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     cross join lateral (
       select count(*) filter (where tgname = any($2::text[]) and tgrelid = any($3::oid[]) and tgenabled in ('O', 'A'))::text as triggers,
              count(*) filter (where tgrelid <> all($3::oid[]))::text as elsewhere
       from pg_trigger where tgfoid = p.oid) t
     where n.nspname = 'cachekit' and p.proname = $1 and obj_description(p.oid, 'pg_proc') = $4`,
    [functionName(shape), triggerNames, oidsOf(shape), comment(shape.capture.name)],
  );
  const row = rows[0];
  return (
    row !== undefined &&
    row.body === captureBody(shape.capture) &&
    Number(row.triggers) === shape.relations.length * triggerNames.length &&
    row.elsewhere === '0'
  );
}

function oidsOf(shape: TableShape): string[] {
  return shape.relations.map((relation) => relation.oid);
}

async function install(transaction: SqlExecutor, shape: TableShape): Promise<void> {
  const name = functionName(shape);
  const missed = await hasMissed(transaction, shape, name);
  await transaction.query(captureFunctionSql(name, shape.capture));
  await transaction.query(
    `comment on function ${qualifiedFunction(name)}() is ${quoteLiteral(comment(shape.capture.name))}`,
  );
  for (const relation of shape.relations) {
    for (const statement of captureTriggersSql(relation, name)) await transaction.query(statement);
  }
  await leaveFormerParts(transaction, shape, name);
  if (missed) await transaction.query(gapSql(shape.capture));
}

/**
 * Whether rows may have been written that were not told, to a table that was captured already: another one has its name
 * now, a trigger was disabled, or a partition has rows and no triggers.
 */
async function hasMissed(transaction: SqlExecutor, shape: TableShape, name: string): Promise<boolean> {
  const { rows } = await transaction.query<{ missed: boolean }>(
    `select exists (
       select from pg_class c
       where c.oid = any($2::oid[])
         and $3 > (select count(*) from pg_trigger t where t.tgrelid = c.oid and t.tgfoid = p.oid and t.tgenabled in ('O', 'A'))
         and (c.oid = to_regclass($4) or pg_relation_size(c.oid) > 0)) as missed
     from pg_proc p where p.oid = to_regproc($1)`,
    [qualifiedFunction(name), oidsOf(shape), triggerNames.length, quoteQualified(shape.relation)],
  );
  return rows[0]?.missed === true;
}

/** A partition that was detached, or a table whose name another one has now, would go on telling its rows as this table's. */
async function leaveFormerParts(transaction: SqlExecutor, shape: TableShape, name: string): Promise<void> {
  const { rows } = await transaction.query<{ statement: string }>(
    `select format('drop trigger %I on %I.%I', t.tgname, n.nspname, c.relname) as statement
     from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
     where t.tgfoid = to_regproc($1) and t.tgrelid <> all($2::oid[])`,
    [qualifiedFunction(name), oidsOf(shape)],
  );
  for (const { statement } of rows) await transaction.query(statement);
}

/** CREATE TRIGGER queues behind a writer, and later writers queue behind it: never wait there for long. */
async function withTableLock(
  sql: SqlExecutor,
  lockTimeoutMs: number,
  clock: Clock,
  run: (transaction: SqlExecutor) => Promise<void>,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await sql.transaction(async (transaction) => {
        await lockMigrations(transaction);
        // An attempt that a statement_timeout of the role ended would look like none for the lock.
        await transaction.query(
          "select set_config('lock_timeout', $1, true), set_config('statement_timeout', '0', true)",
          [String(Math.ceil(lockTimeoutMs))],
        );
        await run(transaction);
      });
      return;
    } catch (error) {
      if (attempt === attempts || !isLockFailure(error)) throw error;
      await new Promise<void>((resolve) => {
        clock.setTimeout(resolve, firstPauseMs * 2 ** (attempt - 1));
      });
    }
  }
}

/** Lock not available, or deadlock detected. */
function isLockFailure(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === '55P03' || code === '40P01';
}

/** Readable, and one for each table also where a long name would be cut. */
function functionName(shape: TableShape): string {
  const { schema, name } = shape.relation;
  const readable = `capture_${schema}_${name}`
    .toLowerCase()
    .replaceAll(/[^a-z0-9_]/g, '_')
    .slice(0, 50);
  const hash = createHash('sha256')
    .update(JSON.stringify([schema, name]))
    .digest('hex')
    .slice(0, 8);
  return `${readable}_${hash}`;
}

function comment(name: string): string {
  return `capture of ${name} for cachekit`;
}
