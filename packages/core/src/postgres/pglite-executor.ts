import { ConfigurationError } from '../errors.ts';
import type { SqlExecutor, SqlResult } from '../ports/sql.ts';

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
    query: async <Row>(sql: string, parameters?: readonly unknown[]) =>
      asResult<Row>(await db.query(sql, parameters && [...parameters])),
    transaction: (run) =>
      db.transaction(async (pglite) => {
        const transaction = new PgliteTransaction(pglite);
        const value = await run(transaction);
        await transaction.assertAlive();
        return value;
      }),
  };
}

class PgliteTransaction implements SqlExecutor {
  readonly #transaction: PgliteTransactionLike;
  #failure: { readonly error: unknown } | undefined;
  #savepoints = 0;

  constructor(transaction: PgliteTransactionLike) {
    this.#transaction = transaction;
  }

  async query<Row>(sql: string, parameters: readonly unknown[] = []): Promise<SqlResult<Row>> {
    try {
      return asResult<Row>(await this.#transaction.query(sql, [...parameters]));
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }

  async transaction<T>(run: (transaction: SqlExecutor) => Promise<T>): Promise<T> {
    this.#savepoints += 1;
    const savepoint = `cachekit_${this.#savepoints}`;
    await this.query(`savepoint ${savepoint}`);
    try {
      const value = await run(this);
      await this.query(`release savepoint ${savepoint}`);
      return value;
    } catch (error) {
      await this.#transaction.query(`rollback to savepoint ${savepoint}`).catch(() => undefined);
      throw error;
    }
  }

  /** COMMIT of an aborted transaction answers ROLLBACK without an error. */
  async assertAlive(): Promise<void> {
    if (this.#failure === undefined) return;
    try {
      await this.#transaction.query('select 1');
    } catch {
      throw this.#failure.error;
    }
  }
}

function asResult<Row>({ rows, affectedRows = 0 }: PgliteResultLike): SqlResult<Row> {
  return { rows, rowCount: rows.length > 0 ? rows.length : affectedRows };
}
