import { ArgumentError, LockLostError } from '../errors.ts';
import type { SqlExecutor } from '../ports/sql.ts';
import { installCoreSchema, lockMigrations } from './core-schema.ts';

/** A holder of a lock as the database needs to know it. */
export interface Fence {
  /** What is protected: the same for all who write it, such as the key of the lock. */
  readonly name: string;
  readonly fencingToken: number;
}

/**
 * Creates the table `cachekit.fence`, which remembers the greatest fencing token that wrote under each name.
 *
 * Idempotent, and safe in several processes at once. A role that writes needs SELECT, INSERT and UPDATE on it and USAGE
 * on the schema.
 *
 * @throws The driver's error, unchanged.
 */
export async function installFences(sql: SqlExecutor): Promise<void> {
  await installCoreSchema(sql);
  const { rows } = await sql.query<{ installed: boolean }>(
    `select to_regclass('cachekit.fence') is not null as installed`,
  );
  if (rows[0]?.installed === true) return;
  await sql.transaction(async (transaction) => {
    await lockMigrations(transaction);
    await transaction.query(
      `create table if not exists cachekit.fence (
         name text primary key,
         token bigint not null,
         written_at timestamptz not null default clock_timestamp()
       ) with (fillfactor = 50)`,
    );
  });
}

/**
 * Runs a transaction that only counts if nobody with a greater fencing token has written under the same name.
 *
 * This is what makes a lock correct and not only likely: a holder that paused until its lock had gone to another one is
 * refused by the database, whatever it believes. Transactions of one name run one after the other, because the first
 * statement locks the row of the name until the end. One holder may write any number of times.
 *
 * Where the protected rows are few, a column does the same without this table:
 * `update reports set body = $1, fence = $2 where id = $3 and fence <= $2`; no row updated means that the lock is lost.
 *
 * @param run - Gets the transaction. What it returns is returned after the commit.
 * @throws LockLostError `LOCK_LOST` if a greater token was here before; nothing is written then.
 * @throws Whatever `run` or the driver throws, unchanged.
 * @example
 * await installFences(sql);
 * const locks = createMemoryLocks();
 * await withLock(locks, 'report', { ttl: '10s' }, ({ fencingToken }) =>
 *   fencedTransaction(sql, { name: 'report', fencingToken }, (transaction) =>
 *     transaction.query('update devices set name = $1 where id = $2', ['Desk 1', 1]),
 *   ),
 * );
 */
export async function fencedTransaction<T>(
  sql: SqlExecutor,
  fence: Fence,
  run: (transaction: SqlExecutor) => Promise<T>,
): Promise<T> {
  const { name, fencingToken } = fence;
  if (typeof name !== 'string' || name === '')
    throw new ArgumentError('A fence has a name that is not empty');
  if (!Number.isSafeInteger(fencingToken) || fencingToken < 1) {
    throw new ArgumentError(`A fencing token is a whole number from 1; got ${fencingToken}`);
  }
  return sql.transaction(async (transaction) => {
    const { rowCount } = await transaction.query(
      `insert into cachekit.fence as fence (name, token) values ($1, $2)
       on conflict (name) do update set token = excluded.token, written_at = clock_timestamp()
       where fence.token <= excluded.token`,
      [name, fencingToken],
    );
    if (rowCount === 0) {
      throw new LockLostError(
        name,
        fencingToken,
        'a holder with a greater fencing token has written meanwhile',
      );
    }
    return run(transaction);
  });
}
