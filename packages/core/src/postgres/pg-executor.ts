import { ConfigurationError } from '../errors.ts';
import type { SqlExecutor, SqlResult } from '../ports/sql.ts';
import { hearLostConnections, type LosablePool } from './lost-connections.ts';
import { SqlTransaction } from './sql-transaction.ts';

/** What a query of `pg` gives, as far as it is read here. */
export interface PgResultLike {
  // The driver types rows itself, differently for each caller.
  // biome-ignore lint/suspicious/noExplicitAny: structural type of another library
  readonly rows: any[];
  readonly rowCount: number | null;
  readonly command: string;
}

/** The part of a checked-out `pg` client that is used. */
export interface PgPoolClientLike {
  query(sql: string, parameters?: unknown[]): Promise<PgResultLike>;
  release(destroy?: Error | boolean): void;
}

/** The part of a `pg.Pool` that is used. */
export interface PgPoolLike extends LosablePool {
  connect(): Promise<PgPoolClientLike>;
  query(sql: string, parameters?: unknown[]): Promise<PgResultLike>;
}

/**
 * Runs SQL through a `pg.Pool` that the user owns and closes.
 *
 * A connection that breaks, idle or checked out, would end the process as an unhandled `error` event where nobody listens;
 * the executor does, for every user of the pool, and the next query says what happened. A
 * `transaction` inside a transaction is a savepoint. Errors of the driver pass unchanged, also when `run` swallowed
 * the error of a statement that had already aborted the transaction.
 *
 * A server that vanishes without a word is noticed by TCP only, after minutes, unless the pool has a `query_timeout`;
 * what times out costs its connection.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if it is no pool; for a single client there is {@link pgClientExecutor}.
 * @example
 * const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 20 });
 * const sql = pgExecutor(pool);
 * const { rows } = await sql.query<{ id: string }>('select id from calls where user_id = $1', ['7']);
 */
export function pgExecutor(pool: PgPoolLike): SqlExecutor {
  if (typeof pool?.connect !== 'function' || typeof pool.on !== 'function' || !('totalCount' in pool)) {
    throw new ConfigurationError('pgExecutor takes a pg.Pool; pgClientExecutor takes a pg.Client');
  }
  hearLostConnections(pool);
  return new PgExecutor(pool);
}

class PgExecutor implements SqlExecutor {
  readonly #pool: PgPoolLike;

  constructor(pool: PgPoolLike) {
    this.#pool = pool;
  }

  query<Row>(sql: string, parameters?: readonly unknown[]): Promise<SqlResult<Row>> {
    return runStatement<Row>(this.#pool, sql, parameters);
  }

  async transaction<T>(work: (transaction: SqlExecutor) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    let broken: Error | undefined;
    try {
      return await inTransaction(client, work, (failure) => {
        broken = failure;
      });
    } finally {
      client.release(broken);
    }
  }
}

/** Runs `work` in a transaction of a client that nobody else uses meanwhile; tells if the client could not roll it back. */
export async function inTransaction<T>(
  client: Pick<PgPoolClientLike, 'query'>,
  work: (transaction: SqlExecutor) => Promise<T>,
  broke: (failure: Error) => void,
): Promise<T> {
  const transaction = new SqlTransaction((sql, parameters) => runStatement(client, sql, parameters));
  await client.query('begin isolation level read committed read write');
  try {
    const value = await work(transaction);
    const { command } = await client.query('commit');
    if (command === 'ROLLBACK') throw transaction.failure;
    return value;
  } catch (error) {
    await client.query('rollback').catch(broke);
    throw error;
  }
}

/** Runs one statement. */
export async function runStatement<Row>(
  client: Pick<PgPoolClientLike, 'query'>,
  sql: string,
  parameters?: readonly unknown[],
): Promise<SqlResult<Row>> {
  const { rows, rowCount } = await client.query(sql, parameters as unknown[] | undefined);
  return { rows, rowCount: rowCount ?? 0 };
}
