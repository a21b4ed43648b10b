import { ConfigurationError } from '../errors.ts';
import type { SqlExecutor, SqlResult } from '../ports/sql.ts';
import { SqlTransaction } from './sql-transaction.ts';

/** What PGlite gives for a query, as far as it is read here. */
export interface PgliteResultLike {
  // PGlite types rows itself, differently for each caller.
  // biome-ignore lint/suspicious/noExplicitAny: structural type of another library
  readonly rows: any[];
  readonly affectedRows?: number | undefined;
}

/** The part of a transaction of PGlite that is used. */
export interface PgliteTransactionLike {
  // biome-ignore lint/suspicious/noExplicitAny: parameters are whatever the caller gives
  query(sql: string, parameters?: any[]): Promise<PgliteResultLike>;
}

/** The part of a `PGlite` that is used. */
export interface PgliteLike extends PgliteTransactionLike {
  transaction<T>(run: (transaction: PgliteTransactionLike) => Promise<T>): Promise<T>;
  readonly waitReady: Promise<void>;
}

/**
 * Runs SQL on a PGlite that the user owns and closes: PostgreSQL inside the process, for tests, demos and browsers.
 *
 * It has one session: a second transaction waits for the first, and nobody can cancel a statement. It does not heed
 * `statement_timeout`. What relies on either refuses this executor when it is constructed. A `transaction` inside a transaction is a
 * savepoint.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if it is no PGlite.
 */
export function pgliteExecutor(db: PgliteLike): SqlExecutor {
  if (typeof db?.transaction !== 'function' || !('waitReady' in db)) {
    throw new ConfigurationError('pgliteExecutor takes a PGlite');
  }
  return {
    lacks: ['timeouts', 'sessions'],
    query: (sql, parameters) => run(db, sql, parameters),
    transaction: (work) =>
      db.transaction(async (pglite) => {
        const transaction = new SqlTransaction((sql, parameters) => run(pglite, sql, parameters));
        const value = await work(transaction);
        await transaction.assertAlive();
        return value;
      }),
  };
}

async function run<Row>(
  pglite: PgliteTransactionLike,
  sql: string,
  parameters: readonly unknown[] = [],
): Promise<SqlResult<Row>> {
  const { rows, affectedRows = 0 } = await pglite.query(sql, [...parameters]);
  return { rows, rowCount: rows.length > 0 ? rows.length : affectedRows };
}
